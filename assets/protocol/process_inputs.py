"""Feedback as the process takes it: hours since t = 0, types by vocabulary, one observed window an item."""

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
    """Observed windows of some items, in hours since each item's t = 0.

    hours[i], types[i] (events,): the events that the process reads.
    t_end (items,): end of the stretch that these events cover completely, which the likelihood is of.
    age (items,): how long each item was observed. t_end is earlier where the window held more events than are used.
    total (items,): events of known types in the window, used or not.
    window: planned length of the observation window; 0 where the protocol observes a number of events.
    dropped: events that were left out because their type is not in the vocabulary.
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
        """Return the windows as they were when the items had the age (items,), at most their own.

        The sequences must be whole: shorten first, then limit the number of events.
        """
        age = np.minimum(self.age, age)
        kept = [int(np.searchsorted(at, end, side="right")) for at, end in zip(self.hours, age, strict=True)]
        hours = [at[:count] for at, count in zip(self.hours, kept, strict=True)]
        types = [kind[:count] for kind, count in zip(self.types, kept, strict=True)]
        return replace(self, hours=hours, types=types, t_end=age, age=age, total=np.array(kept, dtype=np.int64))

    def at_most(self, count: int) -> Sequences:
        """Return the sequences with their first `count` events; where there were more, t_end is the last one's time.

        So the likelihood's stretch holds exactly the events of the sequence. `age` and `total` stay those of the window.
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
        """Hash of each item's window: all that its completed sequence and its rows depend on beside the process."""
        parts = zip(self.items, self.hours, self.types, self.t_end, self.age, self.total, strict=True)
        return {
            item: content_hash(hours, types, float(end), float(age), int(total), self.window)
            for item, hours, types, end, age, total in parts
        }

    def observation(self) -> dict[str, torch.Tensor]:
        """What `TemporalEncoder.complete` is told of the windows beside their events."""
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
    max_events: int | None,
) -> Sequences:
    """Return the observed window of each of `items` as a sequence.

    An event whose type is not in the vocabulary is left out (`dropped` counts these). An item that has no clock yet
    (neither publication nor an event) has an empty window of age 0.

    Args:
        events: the data set's feedback; see `assets.protocol.observation.observed`.
        windows: `item`, `t0`, `observed_until`.
        protocol: the settings' section.
        items: which items, in which order.
        types: the vocabulary.
        max_events: use only the first events of a window that holds more (`Sequences.at_most`); None for all.
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
    made = Sequences(
        items=list(items),
        hours=hours,
        types=kinds,
        t_end=age,
        age=age,
        total=np.array([len(at) for at in hours], dtype=np.int64),
        window=protocol.hours if protocol.first_k is None else 0.0,
        dropped=len(seen) - len(known),
    )
    return made if max_events is None else made.at_most(max_events)
