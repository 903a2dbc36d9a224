"""Dry runs: the assets' own code finds what a run would compute.

In a dry run, each asset runs up to the point where its work would begin, and raises what it would do there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import polars as pl

from storage.plan import Plan


@dataclass
class DryRun:
    """Rows of stages as a run would leave them, as far as they are known beforehand.

    Attributes:
        rows: Stage name -> its rows after the run.
        certain: Stage name -> items whose row cannot become anything else.
    """

    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    certain: dict[str, frozenset[str]] = field(default_factory=dict)


_dry: ContextVar[DryRun | None] = ContextVar("dry", default=None)


class WouldCompute(Exception):
    """Raised in a dry run in place of the work.

    Attributes:
        plan: What a per-video stage would compute; None for other assets.
        reason: Why a table, a model or the bank would be made again; empty for per-video stages.
    """

    def __init__(self, *, plan: Plan | None = None, reason: str = ""):
        """Keep the plan or the reason."""
        super().__init__(reason or str(plan))
        self.plan = plan
        self.reason = reason


class NothingToCompute(Exception):
    """Raised in a dry run if the asset is up to date."""


@contextmanager
def dry_run() -> Iterator[DryRun]:
    """Compute nothing within this context: an asset with work to do raises `WouldCompute`.

    Yields:
        The rows that stages announce during the dry run.
    """
    planned = DryRun()
    token = _dry.set(planned)
    try:
        yield planned
    finally:
        _dry.reset(token)


def is_dry() -> bool:
    """Whether this is a dry run."""
    return _dry.get() is not None


def foresee(stage: str, rows: pl.DataFrame, certain: frozenset[str]) -> None:
    """Record, in a dry run, the rows that a stage would hold after the run. Outside a dry run, do nothing.

    Args:
        stage: Name of the stage.
        rows: Its rows after the run, as far as they are known.
        certain: Items whose row cannot become anything else.
    """
    if (dry := _dry.get()) is not None:
        dry.rows[stage], dry.certain[stage] = rows, certain


def foreseen(stage: str) -> pl.DataFrame | None:
    """Return the rows recorded for a stage in this dry run, or None."""
    dry = _dry.get()
    return None if dry is None else dry.rows.get(stage)


def stop_if_planning(*, plan: Plan | None = None, reason: str = "") -> None:
    """Stop here in a dry run; an asset calls this where its work begins.

    Args:
        plan: What a per-video stage would compute.
        reason: Why any other asset would be made again.

    Raises:
        WouldCompute: This is a dry run.
    """
    if is_dry():
        raise WouldCompute(plan=plan, reason=reason)


def stop_if_plan_is_empty() -> None:
    """Stop here in a dry run; an asset calls this after its computation, before it writes result files.

    Raises:
        NothingToCompute: This is a dry run.
    """
    if is_dry():
        raise NothingToCompute
