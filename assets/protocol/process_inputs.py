"""Feedback as the process takes it: hours since t = 0, types by vocabulary, one observed window an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch

from assets.protocol.observation import HOUR_MS, observed
from assets.settings import Protocol
from models.events import EventBatch
from storage.hashing import content_hash


@dataclass(frozen=True)
class Sequences:
    """Observed windows of some items: `hours[i]` and `types[i]` are (events,), `t_end` is (items,) in hours."""

    items: list[str]
    hours: list[np.ndarray]
    types: list[np.ndarray]
    t_end: np.ndarray
    dropped: int

    def take(self, rows: Sequence[int]) -> Sequences:
        """The sequences at `rows`."""
        picked = ([values[row] for row in rows] for values in (self.items, self.hours, self.types))
        return Sequences(*picked, self.t_end[list(rows)], self.dropped)

    def blocks(self, size: int) -> Iterator[Sequences]:
        """All sequences in order, `size` at a time."""
        for start in range(0, len(self.items), size):
            yield self.take(range(start, min(start + size, len(self.items))))

    def digests(self) -> dict[str, str]:
        """Hash of each item's sequence and of the end of its window."""
        parts = zip(self.items, self.hours, self.types, self.t_end, strict=True)
        return {item: content_hash(hours, types, float(end)) for item, hours, types, end in parts}

    def batch(self) -> EventBatch:
        """All sequences as one padded batch."""
        lengths = [len(hours) for hours in self.hours]
        times = np.zeros((len(lengths), max([1, *lengths])))
        types = np.zeros(times.shape, dtype=np.int64)
        for row, length in enumerate(lengths):
            times[row, :length] = self.hours[row]
            types[row, :length] = self.types[row]
        return EventBatch(
            torch.from_numpy(times),
            torch.from_numpy(types),
            torch.tensor(lengths, dtype=torch.int64),
            torch.from_numpy(self.t_end),
        )


def vocabulary(events: pl.DataFrame, windows: pl.DataFrame, protocol: Protocol, items: Sequence[str]) -> list[str]:
    """Types of feedback that occur in the observed windows of `items` (the training split)."""
    seen = observed(events.filter(pl.col("item").is_in(list(items))), windows, protocol)
    return seen["type"].unique().sort().to_list()


def observed_sequences(
    events: pl.DataFrame,
    windows: pl.DataFrame,
    protocol: Protocol,
    *,
    items: Sequence[str],
    types: Sequence[str],
    max_events: int,
) -> Sequences:
    """The observed window of each of `items` as a sequence.

    An event of a type outside the vocabulary is left out (`dropped` counts them). A window with more than `max_events`
    events is cut at the last one that is used, so that the likelihood's window holds exactly what is in the sequence.
    An item that has no clock yet (neither publication nor an event) has an empty window.
    """
    number = {name: index for index, name in enumerate(types)}
    windows = windows.filter(pl.col("item").is_in(list(items)))
    seen = observed(events, windows, protocol)
    known = seen.filter(pl.col("type").is_in(list(types)))
    lists = known.group_by("item", maintain_order=True).agg("hours", "type")
    grouped = {item: (np.asarray(hours), kinds) for item, hours, kinds in lists.iter_rows()}
    ends = {
        item: (until - start) / HOUR_MS if until is not None and start is not None else 0.0
        for item, start, until in windows.select("item", "t0", "observed_until").iter_rows()
    }
    hours, kinds, t_end = [], [], np.zeros(len(items))
    for row, item in enumerate(items):
        at, kind = grouped.get(item, (np.empty(0), []))
        t_end[row] = ends.get(item, 0.0)
        if len(at) > max_events:
            at, kind = at[:max_events], kind[:max_events]
            t_end[row] = at[-1]
        hours.append(np.asarray(at, dtype=np.float64))
        kinds.append(np.array([number[name] for name in kind], dtype=np.int64))
    return Sequences(list(items), hours, kinds, t_end, dropped=len(seen) - len(known))
