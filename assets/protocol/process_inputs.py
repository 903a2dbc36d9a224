"""Feedback as input of the process: one observed window per item, in hours since t = 0, types as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch

from assets.protocol.observation import HOUR_MS, observed
from assets.settings import Protocol
from models.events import EventBatch
from storage.hashing import content_hash


@dataclass(frozen=True)
class Sequences:
    """Observed windows of n items, in hours since each item's t = 0.

    Attributes:
        items: Ids of the items.
        hours: Per item (events,) float64, times of the events that the process reads.
        types: Per item (events,) int64, types of these events as numbers in the vocabulary.
        t_end: (n,) end of the interval that these events cover completely; the likelihood is of this interval.
        age: (n,) how long each item was observed. Later than `t_end` if the window held more events than are used.
        total: (n,) events of known types in the window, used or not.
        window: Planned length of the observation window; 0 if the protocol observes a number of events.
        dropped: Number of events left out because their type is not in the vocabulary.
    """

    items: list[str]
    hours: list[np.ndarray]
    types: list[np.ndarray]
    t_end: np.ndarray
    age: np.ndarray
    total: np.ndarray
    window: float
    dropped: int

    def take(self, rows: Sequence[int]) -> Sequences:
        """Return the sequences at `rows`."""
        rows = list(rows)
        items, hours, types = ([values[row] for row in rows] for values in (self.items, self.hours, self.types))
        return replace(
            self,
            items=items,
            hours=hours,
            types=types,
            t_end=self.t_end[rows],
            age=self.age[rows],
            total=self.total[rows],
        )

    def until(self, age: np.ndarray) -> Sequences:
        """Return the windows as they were when the items were younger. At age 0 nothing is seen, not even an event at t = 0.

        Call it on complete sequences: first `until`, then `at_most`.

        Args:
            age: (n,) hours; an item's own age is used if that is lower.
        """
        age = np.minimum(self.age, age)
        is_cut_at_zero = (age <= 0) & (self.age > 0)
        kept = [int(np.searchsorted(at, end, side="right")) for at, end in zip(self.hours, age, strict=True)]
        kept = np.where(is_cut_at_zero, 0, np.array(kept, dtype=np.int64))
        hours = [at[:count] for at, count in zip(self.hours, kept, strict=True)]
        types = [kind[:count] for kind, count in zip(self.types, kept, strict=True)]
        return replace(self, hours=hours, types=types, t_end=age, age=age, total=kept)

    def at_most(self, count: int) -> Sequences:
        """Return the sequences limited to their first `count` events.

        A shortened sequence has the time of its last event as `t_end`, so that the interval of the likelihood holds exactly
        the events of the sequence. `age` and `total` stay those of the window.
        """
        long = [len(at) > count for at in self.hours]
        t_end = np.array([at[count - 1] if cut else end for at, cut, end in zip(self.hours, long, self.t_end)])
        hours, types = ([values[:count] for values in ragged] for ragged in (self.hours, self.types))
        return replace(self, hours=hours, types=types, t_end=t_end)

    def blocks(self, size: int) -> Iterator[Sequences]:
        """Yield all sequences in order, `size` at a time."""
        for start in range(0, len(self.items), size):
            yield self.take(range(start, min(start + size, len(self.items))))

    def digests(self) -> dict[str, str]:
        """Return a hash of each item's window: besides the process, its completed sequence depends on nothing else."""
        parts = zip(self.items, self.hours, self.types, self.t_end, self.age, self.total, strict=True)
        return {
            item: content_hash(hours, types, float(end), float(age), int(total), self.window)
            for item, hours, types, end, age, total in parts
        }

    def observation(self) -> dict[str, torch.Tensor]:
        """Return the keyword arguments of `TemporalEncoder.complete` that describe the windows, each (n,)."""
        return {
            "total": torch.from_numpy(self.total),
            "age": torch.from_numpy(self.age),
            "window": torch.full((len(self.items),), self.window, dtype=torch.float64),
        }

    def batch(self) -> EventBatch:
        """Return all sequences as one padded batch."""
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
    """Return the sorted types of feedback in the observed windows of `items` (the training split)."""
    seen = observed(events.filter(pl.col("item").is_in(list(items))), windows, protocol)
    return seen["type"].unique().sort().to_list()


def observed_sequences(
    events: pl.DataFrame,
    windows: pl.DataFrame,
    protocol: Protocol,
    *,
    items: Sequence[str],
    types: Sequence[str],
    max_events: int | None,
) -> Sequences:
    """Return the observed window of each item as a sequence.

    Events whose type is not in the vocabulary are left out; `dropped` counts them. An item without t = 0 (neither
    publication nor an event) has an empty window of age 0.

    Args:
        events: The data set's feedback; see `assets.protocol.observation.observed`.
        windows: `item`, `t0`, `observed_until`.
        protocol: Section `[protocol]` of the settings.
        items: Ids, in the order of the result.
        types: The vocabulary.
        max_events: Use at most this many events per window, the first ones (`Sequences.at_most`). None: all.
    """
    number = {name: index for index, name in enumerate(types)}
    windows = windows.filter(pl.col("item").is_in(list(items)))
    seen = observed(events, windows, protocol)
    known = seen.filter(pl.col("type").is_in(list(types)))
    lists = known.group_by("item", maintain_order=True).agg("hours", "type")
    grouped = {item: (np.asarray(hours), kinds) for item, hours, kinds in lists.iter_rows()}
    ages = {
        item: (until - start) / HOUR_MS if until is not None and start is not None else 0.0
        for item, start, until in windows.select("item", "t0", "observed_until").iter_rows()
    }
    hours, kinds = [], []
    for item in items:
        at, kind = grouped.get(item, (np.empty(0), []))
        hours.append(np.asarray(at, dtype=np.float64))
        kinds.append(np.array([number[name] for name in kind], dtype=np.int64))
    age = np.array([ages.get(item, 0.0) for item in items], dtype=np.float64)
    sequences = Sequences(
        items=list(items),
        hours=hours,
        types=kinds,
        t_end=age,
        age=age,
        total=np.array([len(at) for at in hours], dtype=np.int64),
        window=protocol.hours if protocol.first_k is None else 0.0,
        dropped=len(seen) - len(known),
    )
    return sequences if max_events is None else sequences.at_most(max_events)
