"""Batches of marked event sequences, the input and output of every point process in this package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.event_checks import END, LENGTH, ORDER, RIGHT, START, TYPE, place
from models.event_formats import sequences_of_easytpp, sequences_of_frame, sequences_of_tick


class EventError(ValueError):
    """An invalid event sequence; the message names the sequence by its row in the batch."""


@dataclass(frozen=True, eq=False)
class EventBatch:
    """b event sequences, each observed on [t_start, t_end], padded to a common length l.

    The values in the padding are overwritten with t_end and type 0. Tied events do not see each other, because a history
    holds only the events strictly before a time. They keep their order. The batch holds copies of the arrays.

    Attributes:
        times: (b, l) float64, ascending in each row (ties allowed), t_start <= time <= t_end, in any unit.
        types: (b, l) int64, each event's type, counted from 0.
        lengths: (b,) int64, number of real events per row.
        t_end: (b,) float64, end of the observation window.
        t_start: (b,) float64, start of the observation window; 0 by default. Processes depend only on the time since
            t_start. Pass it if the clock has another origin, such as Unix time.

    Raises:
        EventError: For unsorted, NaN or infinite times; times outside [t_start, t_end]; dates and other times that are not
            numbers; float32 times that are too large to be exact; negative types; and lengths outside [0, l]. The message
            names the sequence.

    Example:
        >>> from models.events import EventBatch
        >>> batch = EventBatch.from_sequences([[1.0, 2.5], [0.5]], [[0, 1], [1]], t_end=[4.0, 4.0])
        >>> len(batch), batch.num_events
        (2, 3)
        >>> batch.times.tolist()
        [[1.0, 2.5], [0.5, 4.0]]
        >>> batch.gaps.tolist()
        [[1.0, 1.5], [0.5, 0.0]]
    """

    times: Tensor
    types: Tensor
    lengths: Tensor
    t_end: Tensor
    t_start: Tensor | None = None

    def __post_init__(self) -> None:
        """Check the arrays and copy them in their final types."""
        times = _numbers(self.times, "times")
        device = times.device
        types = torch.as_tensor(self.types, device=device)
        # Copied like times and types, so that later changes of the caller's arrays cannot make the batch invalid.
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
        raw_times, raw_types = (part.cpu().contiguous().numpy() for part in (times, types.to(torch.int64)))
        placed, kinds = np.empty(times.shape), np.empty(times.shape, np.int64)
        highest = _settle(raw_times, raw_types, lengths, t_start, t_end, placed, kinds)
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
        """Create a batch from sequences of different lengths.

        Args:
            times: One ascending sequence of times per row.
            types: The types of the same events.
            t_end: End of each row's window. By default the row's last event, or t_start for a row without events.
            t_start: Start of each row's window; by default 0.

        Returns:
            The batch, with rows in the order of the arguments.

        Raises:
            EventError: As for the class, and if the numbers of times, types and windows differ.
        """
        if len(times) != len(types) or any(ends is not None and len(ends) != len(times) for ends in (t_end, t_start)):
            raise EventError(
                f"times, types, t_end and t_start must have one entry per sequence; given {len(times)} sequences of times, "
                f"{len(types)} of types"
            )
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
                if not (isinstance(when, np.ndarray) and when.dtype == np.float64):  # float64 arrays need no conversion
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
                raise EventError(f"{name} must be {tuple(lengths.shape)}, one per sequence; given {tuple(part.shape)}")
        highest = _settle(padded_times, padded_types, lengths, start, end, padded_times, padded_types)
        return _trusted(highest, torch.from_numpy(padded_times), torch.from_numpy(padded_types), lengths, end, start)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        sequence: str,
        time: str,
        type: str | None = None,
        type_names: Sequence[str] | None = None,
        t_start: Any = None,
        t_end: Any = None,
        unit: str = "h",
    ) -> EventBatch:
        """Create a batch from a table with one row per event, in any order.

        Args:
            frame: A polars, pandas or Arrow table, or a mapping of column names to arrays.
            sequence: Column of the sequence that an event belongs to, such as a video or a user.
            time: Column of times: numbers in any unit, or dates.
            type: Column of types: numbers from 0, or names. By default all events have type 0.
            type_names: The names of the types 0, 1, ... Needed if the column holds names.
            t_start: Start of the windows, one for all or a mapping from sequence to start. By default 0; for dates, the
                first event of the table.
            t_end: End of the windows, one for all or a mapping from sequence to end. By default each sequence's last event,
                which makes every rate look higher than it is: pass the time until which you watched.
            unit: "s", "min", "h" (default) or "d": dates become the time since t_start in this unit. Numbers stay as they are.

        Returns:
            One row per sequence: in the order of `t_end` if it is a mapping, which may name sequences without any event;
            else in the order of their first rows in the table.

        Raises:
            ValueError: If a column is missing, empty somewhere or of another kind. The message names it.
            EventError: As for the class.

        Example:
            >>> table = {"video": ["a", "b", "a"], "hours": [2.5, 0.5, 1.0], "event": ["like", "like", "share"]}
            >>> batch = EventBatch.from_frame(
            ...     table, sequence="video", time="hours", type="event", type_names=["like", "share"], t_end=24.0
            ... )
            >>> batch.times.tolist(), batch.types.tolist()
            ([[1.0, 2.5], [0.5, 24.0]], [[1, 0], [0, 0]])
        """
        return cls.from_sequences(
            **sequences_of_frame(
                frame,
                sequence=sequence,
                time=time,
                type=type,
                type_names=type_names,
                t_start=t_start,
                t_end=t_end,
                unit=unit,
            )._asdict()
        )

    @classmethod
    def from_easytpp(cls, records: Sequence[Any]) -> EventBatch:
        """Create a batch from sequences in EasyTPP's format. Each window ends at the sequence's last event.

        Args:
            records: One entry per sequence: the list under "train", "dev" or "test" of EasyTPP's pickles (one mapping with
                `time_since_start` and `type_event` per event), or its JSON (one mapping of lists per sequence).

        Raises:
            ValueError: If an entry lacks one of the two.
            EventError: As for the class.

        Example:
            >>> EventBatch.from_easytpp([{"time_since_start": [0.0, 1.5], "type_event": [1, 0]}]).types.tolist()
            [[1, 0]]
        """
        return cls.from_sequences(**sequences_of_easytpp(records)._asdict())

    @classmethod
    def from_tick(cls, timestamps: Sequence[Any], end_times: Sequence[float] | float | None = None) -> EventBatch:
        """Create a batch from timestamps in tick's format.

        Args:
            timestamps: Per realisation a list of one array of times per node. The node is the type.
            end_times: End of each realisation, or one for all; by default the last event.

        Raises:
            ValueError: If the realisations differ in their number of nodes, or there is not one end per realisation.
            EventError: As for the class.

        Example:
            >>> EventBatch.from_tick([[[0.5, 2.0], [1.0]]], end_times=3.0).types.tolist()
            [[0, 1, 0]]
        """
        return cls.from_sequences(**sequences_of_tick(timestamps, end_times)._asdict())

    @property
    def mask(self) -> Tensor:
        """Mask of the real events, (b, l) bool."""
        return torch.arange(self.times.shape[1], device=self.times.device) < self.lengths[:, None]

    @property
    def gaps(self) -> Tensor:
        """Time since the previous event, or since t_start for the first event, (b, l) float64; 0 in the padding."""
        before = torch.cat([self.t_start[:, None], self.times], dim=1)[:, :-1]
        return torch.where(self.mask, self.times - before, 0.0)

    @property
    def num_events(self) -> int:
        """Number of real events in all sequences."""
        return int(self.lengths.sum())

    def __len__(self) -> int:
        """Return the number of sequences b."""
        return self.times.shape[0]

    def __getitem__(self, rows: Tensor | Sequence[int] | slice) -> EventBatch:
        """Select sequences; the result is padded to the longest of them.

        Args:
            rows: A slice, row numbers, or one bool per row, True for the rows to keep.

        Returns:
            A batch of the selected rows, in the order of `rows`.

        Raises:
            IndexError: If a row does not exist, or if there is not one bool per row.
            TypeError: If `rows` is something else, such as a single number.
        """
        if not isinstance(rows, slice):
            rows = row_numbers(rows, len(self)).to(self.times.device)
        lengths = self.lengths[rows]
        width = int(lengths.max()) if len(lengths) else 0
        ends = self.t_end[rows], self.t_start[rows]
        return _trusted(self._highest, self.times[rows, :width], self.types[rows, :width], lengths, *ends)

    def to(self, device: torch.device | str) -> EventBatch:
        """Return the batch on another device."""
        parts = (self.times, self.types, self.lengths, self.t_end, self.t_start)
        return _trusted(self._highest, *(part.to(device) for part in parts))

    def with_t_end(self, t_end: Tensor) -> EventBatch:
        """Return the same events, observed until another time.

        Args:
            t_end: (b,), the new ends of the windows.

        Returns:
            A new batch.

        Raises:
            EventError: If a row's t_end is not finite or lies before its last event.
        """
        return replace(self, t_end=t_end)

    def from_first_event(self) -> EventBatch:
        """Return the same events with t_start at each row's first event, the clock of `window="events"`.

        Use it before you compute intensities, next events or simulations with a process that was fitted with
        `window="events"`. The time before the first event then has no effect. A row without events keeps its t_start.
        """
        if self.times.shape[1] == 0:
            return self
        start = torch.where(self.lengths > 0, self.times[:, 0], self.t_start)
        return _trusted(self._highest, self.times, self.types, self.lengths, self.t_end, start)

    def check_types(self, num_types: int) -> None:
        """Check that all types are known.

        Args:
            num_types: Number of types of a process.

        Raises:
            EventError: If a type is not one of 0 .. num_types - 1. The message names the sequence.
        """
        if self._highest < num_types:
            return
        unknown = self.types >= num_types
        if bool(unknown.any()):  # `_highest` may come from rows that this batch no longer has
            row, event = unknown.nonzero()[0].tolist()
            raise EventError(
                f"sequence {row}: event {event} has the unknown type {self.types[row, event]}; "
                f"the process knows the types 0 to {num_types - 1}"
            )


def row_numbers(rows: Tensor | Sequence[int] | Sequence[bool], count: int) -> Tensor:
    """Return the row numbers that `rows` selects.

    Args:
        rows: Row numbers, or one bool per row.
        count: Number of rows.

    Returns:
        int64 row numbers.

    Raises:
        IndexError: If there is not one bool per row.
        TypeError: If `rows` is neither a sequence of integers nor of bools.
    """
    rows = torch.as_tensor(rows)
    if rows.ndim != 1 or (rows.numel() and rows.is_floating_point()):
        raise TypeError(f"rows must be a slice, row numbers or one bool per row; given {rows.tolist()}")
    if rows.dtype == torch.bool:
        if len(rows) != count:
            raise IndexError(f"rows must have one bool per row; given {len(rows)} bools for {count} rows")
        return rows.nonzero().squeeze(1)
    return rows.to(torch.int64)


def _trusted(highest: int, times: Tensor, types: Tensor, lengths: Tensor, t_end: Tensor, t_start: Tensor) -> EventBatch:
    """Create a batch without checks, from parts of a batch that was checked before."""
    batch = object.__new__(EventBatch)
    names = ("times", "types", "lengths", "t_end", "t_start")
    for name, value in zip(names, (times, types, lengths, t_end, t_start)):
        object.__setattr__(batch, name, value)
    object.__setattr__(batch, "_highest", highest)  # an upper bound of the batch's types
    return batch


def _numbers(values: object, name: str) -> Tensor:
    """Return `values` as float64; raise EventError for dates, other objects, and float32 numbers too large to be exact."""
    try:
        # NumPy turns a list of Python numbers into float64; PyTorch would round it to float32
        plain = values if isinstance(values, (torch.Tensor, np.ndarray)) else np.asarray(values)
        if isinstance(plain, np.ndarray) and plain.dtype.kind not in "biuf":
            raise TypeError(plain.dtype)
        tensor = torch.as_tensor(plain)
    except (TypeError, ValueError, RuntimeError) as error:
        first = np.asarray(values, dtype=object).ravel()[:1].tolist()
        raise EventError(
            f"{name} must be numbers, given {type(first[0]).__name__ if first else type(values).__name__}; turn dates into "
            "the time since the window's start in a unit of your choice, for example hours"
        ) from error
    if tensor.is_floating_point() and tensor.dtype != torch.float64 and tensor.numel():
        exact = 2 / torch.finfo(tensor.dtype).eps  # from here on the type cannot represent every whole number
        largest = float(tensor.nan_to_num(0.0, 0.0, 0.0).abs().max())
        if largest >= exact:
            raise EventError(
                f"{name} are {str(tensor.dtype).removeprefix('torch.')} and as large as {largest:.10g}, which is exact only "
                f"below {exact:.0f}: times would be rounded. Give float64, or the time since the window's start"
            )
    return tensor.to(torch.float64)


def _settle(
    times: np.ndarray,
    types: np.ndarray,
    lengths: Tensor,
    t_start: Tensor,
    t_end: Tensor,
    placed: np.ndarray,
    kinds: np.ndarray,
) -> int:
    """Check the arrays and copy them to `placed` and `kinds`, which may be `times` and `types` themselves.

    Returns the highest type, or -1 without events. Raises EventError for the first fault.
    """
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
