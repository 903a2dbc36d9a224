"""`reelcast sql`: a query of the store's catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.commands.declaration import OK, AsJson, command, print_json
from pipeline.errors import WrongUse


def add(app: typer.Typer) -> None:
    """Add the command."""
    about = "Query the store's catalog, read-only, also during a run."
    command(app, "sql", about=about, example="reelcast sql 'SELECT * FROM failures'")(sql)


def sql(
    query: Annotated[str | None, typer.Argument(help="One SQL statement; by default the names of all views.")] = None,
    as_json: AsJson = False,
) -> int:
    """Print the result of a catalog query: at most forty rows, or with `--json` all of them."""
    import duckdb

    from assets.engine.store_access import open_store
    from pipeline.project import load_project
    from storage.catalog import connect

    with connect(open_store(load_project())) as connection:
        try:
            result = connection.sql(query or "SHOW TABLES")
        except duckdb.Error as error:
            raise WrongUse(str(error)) from error
        if as_json:
            print_json([] if result is None else result.pl().to_dicts())
        elif result is not None:
            result.show()
    return OK
