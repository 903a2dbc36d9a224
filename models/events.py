"""Batches of marked event sequences: what every point process of this package reads and writes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.event_checks import END, LENGTH, ORDER, RIGHT, START, TYPE, place


class EventError(ValueError):
    """An event sequence that cannot be used; the message names the sequence (its row in the batch)."""


@dataclass(frozen=True, eq=False)
class EventBatch:
    """b event sequences, each observed on [t_start, t_end], padded to a common length l.

    The padding's values are ignored: they are overwritten with t_end and type 0. Tied events do not see each other (a
    history is what lies strictly before); their order is the order given.

    Attributes:
        times: (b, l) float64, ascending in each row (ties allowed), t_start <= time <= t_end, in any unit.
        types: (b, l) int64, the event's type, from 0.
        lengths: (b,) int64, how many of the row's events are real.
        t_end: (b,) float64, the end of the observation window.
        t_start: (b,) float64, the start of the observation window; 0 where it is not given. Everything that depends on
            time depends on the time since t_start. Give it where the clock has another origin, such as Unix time.

    Raises:
        EventError: The message names the sequence. Raised for unsorted, NaN or infinite times, for times outside
            [t_start, t_end], for dates and other times that are not numbers, for times in float32 that are too large to be
            exact, for negative types, and for lengths outside [0, l].
    """

    times: Tensor
    types: Tensor
    lengths: Tensor
    t_end: Tensor
    t_start: Tensor | None = None

    def __post_init__(self) -> None:
        times = _numbers(self.times, "times")
        device = times.device
        types = torch.as_tensor(self.types, device=device)
        # Copies, as of times and types: what was checked here cannot change with the arrays that were given.
        lengths = torch.as_tensor(self.lengths, device=device).clone()
        t_end = _numbers(self.t_end, "t_end").to(device).clone()
        t_start = (
            torch.zeros_like(t_end) if self.t_start is None else _numbers(self.t_start, "t_start").to(device).clone()
        )
        shapes = [tuple(part.shape) for part in (times, types, lengths, t_end, t_start)]
        if times.ndim != 2 or shapes != [shapes[0], shapes[0], *3 * [shapes[0][:1]]]:
            raise EventError(
                "times and types must be (b, l), lengths, t_end and t_start (b,); given times {}, types {}, lengths {}, "
                "t_end {}, t_start {}".format(*shapes)
            )
        for name, part in (("types", types), ("lengths", lengths)):
            if part.numel() and (part.is_floating_point() or part.dtype == torch.bool):
                raise EventError(f"{name} must be integers, given {part.dtype}")
        lengths = lengths.to(torch.int64)
        given_times, given_types = (part.cpu().contiguous().numpy() for part in (times, types.to(torch.int64)))
        placed, kinds = np.empty(times.shape), np.empty(times.shape, np.int64)
        highest = _settle(given_times, given_types, lengths, t_start, t_end, placed, kinds)
        object.__setattr__(self, "times", torch.from_numpy(placed).to(device))
        object.__setattr__(self, "types", torch.from_numpy(kinds).to(device))
        object.__setattr__(self, "lengths", lengths)
        object.__setattr__(self, "t_end", t_end)
        object.__setattr__(self, "t_start", t_start)
        object.__setattr__(self, "_highest", highest)

    @classmethod
    def from_sequences(
        cls,
        times: Sequence[Sequence[float]],
        types: Sequence[Sequence[int]],
        *,
        t_end: Sequence[float] | None = None,
        t_start: Sequence[float] | None = None,
    ) -> EventBatch:
        """Pad ragged sequences.

        Args:
            times: One ascending sequence of times per row.
            types: The types of the same events.
            t_end: End of each row's window; by default its last event (t_start where there is none).
            t_start: Start of each row's window; by default 0.

        Returns:
            The batch, rows in the order given.

        Raises:
            EventError: As for the class; also where the numbers of times and types differ.
        """
        if len(times) != len(types) or any(ends is not None and len(ends) != len(times) for ends in (t_end, t_start)):
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
                if not (isinstance(when, np.ndarray) and when.dtype == np.float64):  # those are right as they are
                    when = _numbers(when, f"sequence {row}: times").numpy()
                padded_times[row, : len(when)] = when
                padded_types[row, : len(what)] = kinds
        start = (
            torch.zeros(len(times), dtype=torch.float64) if t_start is None else _numbers(t_start, "t_start").clone()
        )
        if t_end is None:
            t_end = [float(padded_times[row, : len(when)].max()) if len(when) else first
                     for row, (when, first) in enumerate(zip(times, start.tolist()))]  # fmt: skip
        end = _numbers(t_end, "t_end").clone()
        for name, part in (("t_end", end), ("t_start", start)):
            if part.shape != lengths.shape:
                raise EventError(f"{name} must be {tuple(lengths.shape)}, one a sequence; given {tuple(part.shape)}")
        highest = _settle(padded_times, padded_types, lengths, start, end, padded_times, padded_types)
        return _trusted(highest, torch.from_numpy(padded_times), torch.from_numpy(padded_types), lengths, end, start)

    @property
    def mask(self) -> Tensor:
        """(b, l) bool, True at real events."""
        return torch.arange(self.times.shape[1], device=self.times.device) < self.lengths[:, None]

    @property
    def gaps(self) -> Tensor:
        """(b, l) float64, time since the event before (since t_start for the first); 0 in the padding."""
        before = torch.cat([self.t_start[:, None], self.times], dim=1)[:, :-1]
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
        ends = self.t_end[rows], self.t_start[rows]
        return _trusted(self._highest, self.times[rows, :width], self.types[rows, :width], lengths, *ends)

    def to(self, device: torch.device | str) -> EventBatch:
        parts = (self.times, self.types, self.lengths, self.t_end, self.t_start)
        return _trusted(self._highest, *(part.to(device) for part in parts))

    def with_t_end(self, t_end: Tensor) -> EventBatch:
        """The same events observed until `t_end` (b,); raises EventError where that is before a row's last event."""
        return replace(self, t_end=t_end)

    def from_first_event(self) -> EventBatch:
        """The same events with t_start at each row's first event: the clock of `window="events"`.

        A row without events keeps its t_start. Use it to ask a process that was fitted with `window="events"` for
        intensities, next events or simulations: the time before the first event then plays no part.
        """
        if self.times.shape[1] == 0:
            return self
        start = torch.where(self.lengths > 0, self.times[:, 0], self.t_start)
        return _trusted(self._highest, self.times, self.types, self.lengths, self.t_end, start)

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


def _trusted(highest: int, times: Tensor, types: Tensor, lengths: Tensor, t_end: Tensor, t_start: Tensor) -> EventBatch:
    # Parts of a batch that was validated need no second look.
    batch = object.__new__(EventBatch)
    names = ("times", "types", "lengths", "t_end", "t_start")
    for name, value in zip(names, (times, types, lengths, t_end, t_start)):
        object.__setattr__(batch, name, value)
    object.__setattr__(batch, "_highest", highest)  # no type of the batch is above it
    return batch


def _numbers(values: object, name: str) -> Tensor:
    """`values` as float64; EventError where they are dates or other objects, or float32 numbers too large to be exact."""
    try:
        # a list of Python numbers goes to float64 directly: by way of PyTorch's default float32 it would be rounded
        plain = values if isinstance(values, (torch.Tensor, np.ndarray)) else np.asarray(values)
        if isinstance(plain, np.ndarray) and plain.dtype.kind not in "biuf":
            raise TypeError(plain.dtype)
        given = torch.as_tensor(plain)
    except (TypeError, ValueError, RuntimeError) as error:
        first = np.asarray(values, dtype=object).ravel()[:1].tolist()
        raise EventError(
            f"{name} must be numbers, given {type(first[0]).__name__ if first else type(values).__name__}; turn dates into "
            "the time since the window's start in a unit of your choice, for example hours"
        ) from error
    if given.is_floating_point() and given.dtype != torch.float64 and given.numel():
        exact = 2 / torch.finfo(given.dtype).eps  # from here on not every whole number can be told from the next
        largest = float(given.nan_to_num(0.0, 0.0, 0.0).abs().max())
        if largest >= exact:
            raise EventError(
                f"{name} are {str(given.dtype).removeprefix('torch.')} and as large as {largest:.10g}, which is exact only "
                f"below {exact:.0f}: times would be rounded. Give float64, or the time since the window's start"
            )
    return given.to(torch.float64)


def _settle(
    times: np.ndarray,
    types: np.ndarray,
    lengths: Tensor,
    t_start: Tensor,
    t_end: Tensor,
    placed: np.ndarray,
    kinds: np.ndarray,
) -> int:
    """Fill placed and kinds, which may be times and types themselves; returns the highest type, -1 where there is none."""
    rows = [part.cpu().contiguous().numpy() for part in (lengths, t_start, t_end)]
    fault, row, event, highest = place(times, types, *rows, placed, kinds)
    if fault != RIGHT:
        raise EventError(
            f"sequence {row}: {_explain(fault, times[row], types[row], *(part[row] for part in rows), event)}"
        )
    return highest


def _explain(
    fault: int, times: np.ndarray, types: np.ndarray, length: int, t_start: float, t_end: float, event: int
) -> str:
    if fault == LENGTH:
        return f"length {length} is outside [0, {len(times)}]"
    if fault == START:
        return f"t_start {t_start} is not a finite time"
    if fault == END:
        return f"t_end {t_end} is not a finite time >= {f't_start {t_start}' if t_start else 0}"
    if fault == TYPE:
        return f"event {event} has the type {types[event]} < 0"
    time = float(times[event])
    if fault == ORDER:
        return f"times are not sorted: event {event} at {time} comes after one at {times[event - 1]}"
    if not math.isfinite(time):
        return f"event {event} has time {time}"
    if time > t_end:
        return f"event {event} at {time} is after t_end {t_end}"
    return (
        f"event {event} has the negative time {time}"
        if t_start == 0
        else f"event {event} at {time} is before t_start {t_start}"
    )
