"""Progress of long work (items done, rate, time left) in the terminal and in Dagster's log."""

from __future__ import annotations

import logging
import time

EVERY_SECONDS = 5.0


class Progress:
    """A counter of finished items that logs a line every `EVERY_SECONDS`."""

    def __init__(self, log: logging.Logger, name: str, total: int, *, unit: str = "items") -> None:
        """Start the clock.

        Args:
            log: Receives the lines, at level info.
            name: Name of the work, at the start of each line.
            total: Number of items.
            unit: Noun for the items.
        """
        self._log, self._name, self._total, self._unit = log, name, total, unit
        self._done = self._failed = self._missing = 0
        self._started = self._logged = time.monotonic()

    def advance(self, count: int = 1, *, failed: int = 0, missing: int = 0) -> None:
        """Count more items as done, and log a line if it is time.

        Missing rows cost no work and come first, so they are left out of the rate.

        Args:
            count: Number of items.
            failed: How many of them have a failed row.
            missing: How many of them have a missing row.
        """
        self._done += count
        self._failed += failed
        self._missing += missing
        now = time.monotonic()
        if now - self._logged >= EVERY_SECONDS and self._done < self._total:
            self._logged = now
            rate = (self._done - self._missing) / (now - self._started)
            left = (self._total - self._done) / rate if rate else float("inf")
            self._log.info(
                "%s: %d of %d %s, %.1f/s, %s left%s",
                *(self._name, self._done, self._total, self._unit, rate, duration(left), self._failures()),
            )

    def finish(self) -> None:
        """Log the total."""
        seconds = time.monotonic() - self._started
        rate = self._done / max(seconds, 1e-9)
        self._log.info(
            "%s: %d %s in %s, %.1f/s%s", self._name, self._done, self._unit, duration(seconds), rate, self._failures()
        )

    def _failures(self) -> str:
        return f", {self._failed} failed" if self._failed else ""


def duration(seconds: float) -> str:
    """Return a duration as text.

    Example:
        >>> duration(4.21), duration(200), duration(7500)
        ('4.2 s', '3 min 20 s', '2 h 05 min')
    """
    if seconds == float("inf"):
        return "unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
