"""Progress of long work: items done, rate, time left, in the terminal and in Dagster's log."""

from __future__ import annotations

import logging
import time

EVERY_SECONDS = 5.0


class Progress:
    """Counts items and says so every few seconds.

    Args:
        log: a logger with `info`.
        name: what is being done.
        total: items in all.
        unit: what is counted.
    """

    def __init__(self, log: logging.Logger, name: str, total: int, *, unit: str = "items") -> None:
        self._log, self._name, self._total, self._unit = log, name, total, unit
        self._done = self._failed = self._missing = 0
        self._started = self._said = time.monotonic()

    def advance(self, count: int = 1, *, failed: int = 0, missing: int = 0) -> None:
        """Count `count` more items as done, `failed` of them with a failed row and `missing` with a missing one.

        Missing rows are made without any work, most of them first: they tell nothing about those that are left.
        """
        self._done += count
        self._failed += failed
        self._missing += missing
        now = time.monotonic()
        if now - self._said >= EVERY_SECONDS and self._done < self._total:
            self._said = now
            rate = (self._done - self._missing) / (now - self._started)
            left = (self._total - self._done) / rate if rate else float("inf")
            self._log.info(
                "%s: %d of %d %s, %.1f/s, %s left%s",
                *(self._name, self._done, self._total, self._unit, rate, duration(left), self._failures()),
            )

    def finish(self) -> None:
        """Say the total."""
        seconds = time.monotonic() - self._started
        rate = self._done / max(seconds, 1e-9)
        self._log.info(
            "%s: %d %s in %s, %.1f/s%s", self._name, self._done, self._unit, duration(seconds), rate, self._failures()
        )

    def _failures(self) -> str:
        return f", {self._failed} failed" if self._failed else ""


def duration(seconds: float) -> str:
    """Seconds as a person writes them: `4.2 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
