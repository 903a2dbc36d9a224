"""Timings of a stage's run, shard by shard: seconds per step, and the use of the device."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEPT = 500  # shards in an asset's metadata, the latest ones


@dataclass
class ShardStatistics:
    """Collector of measurements, with one entry per shard.

    Attributes:
        shards: One entry per finished shard: `items`, `failed`, `seconds` per step, and the peaks.
    """

    shards: list[dict[str, Any]] = field(default_factory=list)
    _seconds: dict[str, float] = field(default_factory=dict)
    _peaks: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time spent in this context to a step, such as `wait`, `load`, `encode` or `write`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add({name: time.monotonic() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add seconds per step that were measured elsewhere, such as `decode` in worker processes."""
        for name, value in seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + value

    def peak(self, measures: Mapping[str, float]) -> None:
        """Keep the shard's highest value of each measurement, such as `gpu_memory_mb`."""
        for name, value in measures.items():
            self._peaks[name] = max(value, self._peaks.get(name, value))

    def close(self, *, items: int, failed: int) -> None:
        """End the shard; later measurements belong to the next one."""
        seconds = {name: round(value, 3) for name, value in self._seconds.items()}
        self.shards.append({"items": items, "failed": failed, "seconds": seconds, **self._peaks})
        self._seconds, self._peaks = {}, {}

    def totals(self) -> dict[str, float]:
        """Return the seconds per step over all shards."""
        seconds: dict[str, float] = {}
        for shard in self.shards:
            for name, value in shard["seconds"].items():
                seconds[name] = round(seconds.get(name, 0.0) + value, 3)
        return seconds
