"""What a stage's run spent its time on, shard by shard: seconds by step, and what the device was doing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEPT = 500  # shards in an asset's metadata; of longer runs the latest


@dataclass
class ShardStatistics:
    """Collects measures while a shard is computed, and keeps one entry a shard.

    Attributes:
        shards: one entry a finished shard: `items`, `failed`, `seconds` by step, and what else was noted.
    """

    shards: list[dict[str, Any]] = field(default_factory=list)
    _seconds: dict[str, float] = field(default_factory=dict)
    _peaks: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time within as seconds of a step: `wait`, `load`, `encode`, `write`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add({name: time.monotonic() - started})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count seconds by step that were measured elsewhere, such as `decode` in worker processes."""
        for name, value in seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + value

    def peak(self, measures: Mapping[str, float]) -> None:
        """Keep the highest of each measure in the shard, such as `gpu_memory_mb`."""
        for name, value in measures.items():
            self._peaks[name] = max(value, self._peaks.get(name, value))

    def close(self, *, items: int, failed: int) -> None:
        """End a shard; what is measured from now on belongs to the next one."""
        seconds = {name: round(value, 3) for name, value in self._seconds.items()}
        self.shards.append({"items": items, "failed": failed, "seconds": seconds, **self._peaks})
        self._seconds, self._peaks = {}, {}

    def totals(self) -> dict[str, float]:
        """Seconds by step over all shards."""
        found: dict[str, float] = {}
        for shard in self.shards:
            for name, value in shard["seconds"].items():
                found[name] = round(found.get(name, 0.0) + value, 3)
        return found
