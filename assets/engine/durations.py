"""Durations of named steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Write the duration of a block to `seconds[step]`.

    Example:
        >>> seconds = {}
        >>> with timed(seconds, "nothing"):
        ...     pass
        >>> list(seconds)
        ['nothing']
    """
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started
