"""A read-only server of the Model Context Protocol, through which an assistant reads one store (`reelcast mcp`)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from assets.settings import Settings
from pipeline.errors import is_readable

P, R = ParamSpec("P"), TypeVar("R")
READ_ONLY = ToolAnnotations(readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False)
MOST_ROWS = 200
ABOUT = (
    "reelcast forecasts how popular micro-videos become. The tools read one data set's store and change nothing. Begin with "
    "`results`; `sql` without a query lists the views."
)


def make_server(settings: Settings) -> MCPServer:
    """Return the server, with the tools results, plan, failures, predict and sql.

    Args:
        settings: Settings that name the store.
    """
    from importlib.metadata import version

    server = MCPServer("reelcast", instructions=ABOUT, version=version("reelcast"), log_level="WARNING")

    def tool(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if is_readable(error):
                    raise ToolError(str(error)) from None
                raise

        return server.tool(annotations=READ_ONLY)(run)

    @tool
    def results() -> dict[str, Any]:
        """Return the last evaluation: every predictor's metrics by target and age, warnings, and folders.

        nMSE is an error (1 is the training mean), SRC and PLCC are correlations.
        """
        from pipeline.commands.results import as_values

        return _plain(as_values(settings))

    @tool
    def plan(stage: str = "") -> list[dict[str, Any]]:
        """Return what a run would compute now, and why, per stage; of one stage also its items."""
        from pipeline.definitions import defs
        from pipeline.planning import as_rows, plan_run

        rows = as_rows(plan_run(settings, defs))
        if not stage:
            return _plain([{**row, "items": len(row["items"])} for row in rows])
        return _plain([row for row in rows if row["stage"] == stage])

    @tool
    def failures(limit: int = 50) -> dict[str, Any]:
        """Return failed rows (stage, item, error) and damaged files that were used in part."""
        from assets.engine import failure_checks
        from assets.engine.store_access import open_store

        store = open_store(settings)
        failed, damaged = failure_checks.failures(store), failure_checks.damages(store)
        shown = {"failed": failed.head(limit).to_dicts(), "damaged": damaged.head(limit).to_dicts()}
        return _plain({"failed_rows": len(failed), "damaged_files": len(damaged), **shown})

    @tool
    def predict(item: str) -> list[dict[str, Any]]:
        """Return the stored forecasts of a video without a known label: per target a count, and the neighbours behind it."""
        import polars as pl

        from assets.engine.store_access import open_store
        from assets.prediction.predictions import NAME

        return _plain(open_store(settings).table(NAME).read().filter(pl.col("item") == item).to_dicts())

    @tool
    def sql(query: str = "SHOW TABLES") -> dict[str, Any]:
        """Return the rows of one SELECT on the store's catalog (DuckDB), at most 200."""
        from assets.engine.store_access import open_store
        from storage.catalog import select_rows

        rows, columns = select_rows(open_store(settings), query, most=MOST_ROWS + 1)
        return _plain({"columns": columns, "rows": rows[:MOST_ROWS], "more": len(rows) > MOST_ROWS})

    return server


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: dates and paths are texts."""
    return json.loads(json.dumps(value, default=str))
