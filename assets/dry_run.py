"""What a run would compute, found by the assets' own code: in a dry run each goes as far as where its work would begin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from storage.plan import Plan

_dry: ContextVar[bool] = ContextVar("dry", default=False)


class WouldCompute(Exception):
    """Raised in a dry run in place of the work. plan: of a per-video stage; reason: of a table or of something fitted."""

    def __init__(self, *, plan: Plan | None = None, reason: str = ""):
        super().__init__(reason or str(plan))
        self.plan = plan
        self.reason = reason


class NothingToCompute(Exception):
    """Raised in a dry run where everything is as a run would leave it."""


@contextmanager
def dry_run() -> Iterator[None]:
    """In this block nothing is computed: an asset raises `WouldCompute`; otherwise it has nothing to do."""
    token = _dry.set(True)
    try:
        yield
    finally:
        _dry.reset(token)


def is_dry() -> bool:
    """Whether this is a dry run."""
    return _dry.get()


def begin(*, plan: Plan | None = None, reason: str = "") -> None:
    """Called where work begins; goes on, except in a dry run.

    Raises:
        WouldCompute: in a dry run.
    """
    if is_dry():
        raise WouldCompute(plan=plan, reason=reason)


def finish() -> None:
    """Called behind the last of the work, before results are written for people: a dry run goes no further.

    Raises:
        NothingToCompute: in a dry run.
    """
    if is_dry():
        raise NothingToCompute
