"""Batches of marked event sequences: what every point process of this package reads and writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.event_checks import END, LENGTH, ORDER, RIGHT, TYPE, place


class EventError(ValueError):
    """An event sequence that cannot be used; the message names the sequence (its row in the batch)."""


@dataclass(frozen=True, eq=False)
class EventBatch:
    """b event sequences observed on [0, t_end], padded to a common length l.

    times    (b, l) float64, ascending in each row (ties allowed), 0 <= time <= t_end, in any unit
    types    (b, l) int64, the event's type, from 0
    lengths  (b,)   int64, how many of the row's events are real
    t_end    (b,)   float64, the end of the observation window

    Whatever stands in the padding is ignored: it is overwritten with t_end and type 0. Tied events do not see each
    other (a history is what lies strictly before); their order is the order given.

    Raises EventError, naming the sequence, for unsorted, negative, NaN or infinite times, times after t_end, negative
    types and lengths outside [0, l].
    """

    times: Tensor
    types: Tensor
    lengths: Tensor
    t_end: Tensor

    def __post_init__(self) -> None:
        times = torch.as_tensor(self.times, dtype=torch.float64)
        device = times.device
        types = torch.as_tensor(self.types, device=device)
        # Copies, as of times and types: what was checked here cannot change with the arrays that were given.
        lengths = torch.as_tensor(self.lengths, device=device).clone()
        t_end = torch.as_tensor(self.t_end, dtype=torch.float64, device=device).clone()
        shapes = [tuple(part.shape) for part in (times, types, lengths, t_end)]
        if times.ndim != 2 or shapes != [shapes[0], shapes[0], shapes[0][:1], shapes[0][:1]]:
            raise EventError(
                "times and types must be (b, l), lengths and t_end (b,); given times {}, types {}, lengths {}, "
                "t_end {}".format(*shapes)
            )
        for name, part in (("types", types), ("lengths", lengths)):
            if part.numel() and (part.is_floating_point() or part.dtype == torch.bool):
                raise EventError(f"{name} must be integers, given {part.dtype}")
        lengths = lengths.to(torch.int64)
        given_times, given_types = (part.cpu().contiguous().numpy() for part in (times, types.to(torch.int64)))
        placed, kinds = np.empty(times.shape), np.empty(times.shape, np.int64)
        highest = _settle(given_times, given_types, lengths, t_end, placed, kinds)
        object.__setattr__(self, "times", torch.from_numpy(placed).to(device))
        object.__setattr__(self, "types", torch.from_numpy(kinds).to(device))
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "t_end", t_end)
        object.__setattr__(self, "_highest", highest)

    @classmethod
    def from_sequences(
        cls, times: Sequence[Sequence[float]], types: Sequence[Sequence[int]], *, t_end: Sequence[float] | None = None
    ) -> EventBatch:
        """Pad ragged sequences. Without `t_end` a window ends at its last event (at 0 where there is none)."""
        if len(times) != len(types) or (t_end is not None and len(t_end) != len(times)):
            raise EventError(f"{len(times)} sequences of times, {len(types)} of types: one of each a sequence")
        lengths = torch.tensor([len(when) for when in times], dtype=torch.int64)
        shape = len(times), int(lengths.max()) if len(times) else 0
        padded_times, padded_types = np.zeros(shape), np.zeros(shape, np.int64)
        for row, (when, what) in enumerate(zip(times, types)):
            if len(when) != len(what):
                raise EventError(f"sequence {row}: {len(when)} times but {len(what)} types")
            if len(what):
                kinds = np.asarray(what)
                if kinds.dtype.kind not in "iu":
                    raise EventError(f"sequence {row}: types must be integers, given {kinds.dtype}")
                padded_times[row, : len(when)], padded_types[row, : len(what)] = when, kinds
        if t_end is None:
            t_end = [float(when[-1]) if len(when) else 0.0 for when in times]
        end = torch.as_tensor(t_end, dtype=torch.float64).clone()
        if end.shape != lengths.shape:
            raise EventError(f"t_end must be {tuple(lengths.shape)}, one a sequence; given {tuple(end.shape)}")
        highest = _settle(padded_times, padded_types, lengths, end, padded_times, padded_types)
        return _trusted(highest, torch.from_numpy(padded_times), torch.from_numpy(padded_types), lengths, end)

    @property
    def mask(self) -> Tensor:
        """(b, l) bool, True at real events."""
        return torch.arange(self.times.shape[1], device=self.times.device) < self.lengths[:, None]

    @property
    def gaps(self) -> Tensor:
        """(b, l) float64, time since the event before (since 0 for the first); 0 in the padding."""
        before = torch.cat([torch.zeros_like(self.times[:, :1]), self.times[:, :-1]], dim=1)
        return torch.where(self.mask, self.times - before, 0.0)

    @property
    def num_events(self) -> int:
        return int(self.lengths.sum())

    def __len__(self) -> int:
        return self.times.shape[0]

    def __getitem__(self, rows: Tensor | Sequence[int] | slice) -> EventBatch:
        """The sequences `rows`, in that order, padded no further than their longest.

        rows: a slice, row numbers, or a bool of each row, True where it is to be kept. Raises IndexError for a row that is
        not there and for a bool of the wrong length, TypeError for anything else, such as one number.
        """
        if not isinstance(rows, slice):
            rows = row_numbers(rows, len(self)).to(self.times.device)
        lengths = self.lengths[rows]
        width = int(lengths.max()) if len(lengths) else 0
        return _trusted(self._highest, self.times[rows, :width], self.types[rows, :width], lengths, self.t_end[rows])

    def to(self, device: torch.device | str) -> EventBatch:
        parts = (self.times, self.types, self.lengths, self.t_end)
        return _trusted(self._highest, *(part.to(device) for part in parts))

    def with_t_end(self, t_end: Tensor) -> EventBatch:
        """The same events observed until `t_end` (b,); raises EventError where that is before a row's last event."""
        return replace(self, t_end=t_end)

    def check_types(self, num_types: int) -> None:
        """Raise EventError, naming the sequence, where a type is not one of 0 .. num_types - 1."""
        if self._highest < num_types:
            return
        unknown = self.types >= num_types
        if bool(unknown.any()):  # the highest type may be one of sequences that this batch has not got
            row, event = unknown.nonzero()[0].tolist()
            raise EventError(
                f"sequence {row}: event {event} has the unknown type {self.types[row, event]}; "
                f"the process knows the types 0 to {num_types - 1}"
            )


def row_numbers(rows: Tensor | Sequence[int] | Sequence[bool], count: int) -> Tensor:
    """int64 numbers of the chosen of `count` rows, given as numbers or as a bool each: see `EventBatch.__getitem__`."""
    rows = torch.as_tensor(rows)
    if rows.ndim != 1 or (rows.numel() and rows.is_floating_point()):
        raise TypeError(f"rows must be a slice, row numbers or a bool a row; given {rows.tolist()}")
    if rows.dtype == torch.bool:
        if len(rows) != count:
            raise IndexError(f"{len(rows)} bools for {count} rows: one each")
        return rows.nonzero().squeeze(1)
    return rows.to(torch.int64)


def _trusted(highest: int, times: Tensor, types: Tensor, lengths: Tensor, t_end: Tensor) -> EventBatch:
    # Parts of a batch that was validated need no second look.
    batch = object.__new__(EventBatch)
    for name, value in (("times", times), ("types", types), ("lengths", lengths), ("t_end", t_end)):
        object.__setattr__(batch, name, value)
    object.__setattr__(batch, "_highest", highest)  # no type of the batch is above it
    return batch


def _settle(
    times: np.ndarray, types: np.ndarray, lengths: Tensor, t_end: Tensor, placed: np.ndarray, kinds: np.ndarray
) -> int:
    """Fill placed and kinds, which may be times and types themselves; returns the highest type, -1 where there is none."""
    rows = [part.cpu().contiguous().numpy() for part in (lengths, t_end)]
    what, row, event, highest = place(times, types, *rows, placed, kinds)
    if what != RIGHT:
        raise EventError(
            f"sequence {row}: {_wrong(what, times[row], types[row], *(part[row] for part in rows), event)}"
        )
    return highest


def _wrong(what: int, times: np.ndarray, types: np.ndarray, length: int, t_end: float, event: int) -> str:
    if what == LENGTH:
        return f"length {length} is outside [0, {len(times)}]"
    if what == END:
        return f"t_end {t_end} is not a finite time >= 0"
    if what == TYPE:
        return f"event {event} has the type {types[event]} < 0"
    time = float(times[event])
    if what == ORDER:
        return f"times are not sorted: event {event} at {time} comes after one at {times[event - 1]}"
    if not math.isfinite(time):
        return f"event {event} has time {time}"
    if time < 0:
        return f"event {event} has the negative time {time}"
    return f"event {event} at {time} is after t_end {t_end}"
