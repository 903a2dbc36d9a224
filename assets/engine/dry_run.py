"""What a run would compute, found by the assets' own code: in a dry run each goes as far as where its work would begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import polars as pl

from storage.plan import Plan


@dataclass
class DryRun:
    """What is known beforehand of a stage's rows: `rows` as its run would leave them, and for which items that is certain."""

    rows: dict[str, pl.DataFrame] = field(default_factory=dict)
    certain: dict[str, frozenset[str]] = field(default_factory=dict)


_dry: ContextVar[DryRun | None] = ContextVar("dry", default=None)


class WouldCompute(Exception):
    """Raised in a dry run in place of the work. plan: of a per-video stage; reason: of a table or of something fitted."""

    def __init__(self, *, plan: Plan | None = None, reason: str = ""):
        super().__init__(reason or str(plan))
        self.plan = plan
        self.reason = reason


class NothingToCompute(Exception):
    """Raised in a dry run where everything is as a run would leave it."""


@contextmanager
def dry_run() -> Iterator[DryRun]:
    """In this block nothing is computed: an asset raises `WouldCompute`; otherwise it has nothing to do."""
    found = DryRun()
    token = _dry.set(found)
    try:
        yield found
    finally:
        _dry.reset(token)


def is_dry() -> bool:
    """Whether this is a dry run."""
    return _dry.get() is not None


def foresee(stage: str, rows: pl.DataFrame, certain: frozenset[str]) -> None:
    """Tell, in a dry run, what `stage` would hold after the run; of the items `certain` nothing else can come of it."""
    if (dry := _dry.get()) is not None:
        dry.rows[stage], dry.certain[stage] = rows, certain


def foreseen(stage: str) -> pl.DataFrame | None:
    """What was told of `stage`'s rows in this dry run; None without one."""
    dry = _dry.get()
    return None if dry is None else dry.rows.get(stage)


def stop_if_planning(*, plan: Plan | None = None, reason: str = "") -> None:
    """Called where work begins; goes on, except in a dry run.

    Raises:
        WouldCompute: in a dry run.
    """
    if is_dry():
        raise WouldCompute(plan=plan, reason=reason)


def stop_if_plan_is_empty() -> None:
    """Called behind the last of the work, before results are written for people: a dry run goes no further.

    Raises:
        NothingToCompute: in a dry run.
    """
    if is_dry():
        raise NothingToCompute
