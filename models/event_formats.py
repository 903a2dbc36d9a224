"""Event sequences in the formats of tables, EasyTPP and tick, as lists that `EventBatch.from_sequences` takes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np

UNITS = {"s": 1e9, "min": 60e9, "h": 3600e9, "d": 86400e9}  # nanoseconds


class FormatError(ValueError):
    """A table or file of events that cannot be read; the message names the column or the sequence."""


class Sequences(NamedTuple):
    """The arguments of `EventBatch.from_sequences`.

    Attributes:
        times: One ascending float64 array per sequence.
        types: One int64 array per sequence.
        t_end: End of each window; None for each sequence's last event.
        t_start: Start of each window; None for 0.
    """

    times: list[np.ndarray]
    types: list[np.ndarray]
    t_end: list[float] | None
    t_start: list[float] | None


def sequences_of_frame(
    frame: Any,
    *,
    sequence: str,
    time: str,
    type: str | None,
    type_names: Sequence[str] | None,
    t_start: Any,
    t_end: Any,
    unit: str,
) -> Sequences:
    """Return the sequences of a table with one row per event; see `EventBatch.from_frame`.

    Raises:
        FormatError: If a column is missing or holds empty values, a type has no number, a time is no number or date, a
            sequence has no start or end, or the unit is unknown.
    """
    if unit not in UNITS:
        raise FormatError(f"unit {unit!r}; allowed: {', '.join(UNITS)}")
    keys, when = _column(frame, sequence), _column(frame, time)
    kinds = np.zeros(len(keys), np.int64) if type is None else _type_numbers(_column(frame, type), type, type_names)
    names = list(dict.fromkeys(keys.tolist()))
    if isinstance(t_end, Mapping):
        if unknown := [name for name in names if name not in t_end]:
            raise FormatError(f"t_end has no entry for sequence {unknown[0]!r} of column {sequence!r}")
        names = list(t_end)
    starts, ends = _bounds(t_start, names, "t_start"), _bounds(t_end, names, "t_end")
    number = {name: row for row, name in enumerate(names)}
    rows = np.array([number[key] for key in keys.tolist()], np.int64)
    hours, starts, ends = _clock(when, rows, starts, ends, time, unit)
    order = np.lexsort((hours, rows))  # stable, so that tied events keep the table's order
    borders = np.searchsorted(rows[order], np.arange(len(names) + 1))
    parts = [order[low:high] for low, high in itertools.pairwise(borders)]
    return Sequences([hours[part] for part in parts], [kinds[part] for part in parts], ends, starts)


def sequences_of_easytpp(records: Sequence[Any]) -> Sequences:
    """Return the sequences of EasyTPP's pickles or of its JSON; see `EventBatch.from_easytpp`.

    Raises:
        FormatError: If a record lacks `time_since_start` or `type_event`.
    """
    times, types = [], []
    for row, record in enumerate(records):
        try:
            if isinstance(record, Mapping):
                when, what = record["time_since_start"], record["type_event"]
            else:
                when = [event["time_since_start"] for event in record]
                what = [event["type_event"] for event in record]
        except (KeyError, TypeError) as error:
            raise FormatError(
                f"sequence {row} is no EasyTPP record: it must have `time_since_start` and `type_event`, as lists or per event"
            ) from error
        times.append(np.asarray(when, np.float64))
        types.append(np.asarray(what).astype(np.int64))
    return Sequences(times, types, None, None)


def sequences_of_tick(realisations: Sequence[Any], end_times: Sequence[float] | float | None) -> Sequences:
    """Return the sequences of tick's timestamps; see `EventBatch.from_tick`.

    Raises:
        FormatError: If the realisations differ in their number of nodes, or there is not one end per realisation.
    """
    if len(realisations) and np.ndim(realisations[0][0]) == 0:  # one realisation, as tick also takes it
        realisations = [realisations]
    if len(counts := {len(nodes) for nodes in realisations}) > 1:
        raise FormatError(f"all realisations must have the same number of nodes; given {sorted(counts)}")
    times, types = [], []
    for nodes in realisations:
        when = np.concatenate([np.asarray(node, np.float64) for node in nodes])
        what = np.repeat(np.arange(len(nodes)), [len(node) for node in nodes])
        order = np.argsort(when, kind="stable")
        times.append(when[order])
        types.append(what[order])
    if end_times is not None and np.ndim(end_times) == 0:
        end_times = [end_times] * len(times)
    if end_times is not None and len(end_times) != len(times):
        raise FormatError(f"end_times must have one entry per realisation; given {len(end_times)} for {len(times)}")
    return Sequences(times, types, None if end_times is None else [float(end) for end in end_times], None)


def _column(frame: Any, name: str) -> np.ndarray:
    """Return a column of a polars, pandas or Arrow table, or of a mapping of arrays."""
    try:
        values = frame[name]
    except Exception as error:  # each library has an error of its own
        columns = (
            frame.column_names if hasattr(frame, "column_names") else getattr(frame, "columns", frame)
        )  # Arrow, others
        raise FormatError(f"the table has no column {name!r}; it has {', '.join(map(repr, columns))}") from error
    values = values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)
    empty = np.array([value is None or value != value for value in values.tolist()], bool)  # NaN and NaT equal nothing
    if values.dtype.kind in "mM":
        empty = np.isnat(values)
    if empty.any():
        raise FormatError(f"column {name!r} is empty in row {int(np.flatnonzero(empty)[0])}")
    return values


def _type_numbers(values: np.ndarray, column: str, names: Sequence[str] | None) -> np.ndarray:
    if names is None:
        if values.dtype.kind in "iu":
            return values.astype(np.int64)
        known = sorted(set(map(str, values.tolist())))
        raise FormatError(
            f"column {column!r} holds names; say which number each has: type_names={known[:12]}"
            + (" and so on" if len(known) > 12 else "")
        )
    number = {name: kind for kind, name in enumerate(names)}
    if unknown := [value for value in dict.fromkeys(values.tolist()) if value not in number]:
        raise FormatError(f"column {column!r} holds {unknown[0]!r}, which type_names lacks; it has {list(names)}")
    return np.array([number[value] for value in values.tolist()], np.int64)


def _bounds(given: Any, names: list, argument: str) -> list | None:
    """Return one start or end per sequence from one for all or a mapping."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return [given] * len(names)
    if missing := [name for name in names if name not in given]:
        raise FormatError(f"{argument} has no entry for sequence {missing[0]!r}")
    return [given[name] for name in names]


def _clock(
    when: np.ndarray, rows: np.ndarray, starts: list | None, ends: list | None, column: str, unit: str
) -> tuple[np.ndarray, list[float] | None, list[float] | None]:
    """Return times, starts and ends as numbers. Dates become units since the starts, or since the first event of all."""
    dates = when.dtype.kind == "M" or (when.dtype == object and len(when) and isinstance(when[0], date))
    if not dates:
        if when.dtype.kind not in "iuf":
            raise FormatError(f"column {column!r} must hold numbers or dates; given {when[0]!r}")
        numbers = [None if part is None else [float(value) for value in part] for part in (starts, ends)]
        return when.astype(np.float64), *numbers

    def moments(values: Any) -> np.ndarray:
        return np.asarray(values, "datetime64[ns]").astype(np.int64)

    nanoseconds = moments(when)
    origin = (
        moments(starts)
        if starts is not None
        else np.full(max(rows.max(initial=0) + 1, len(ends or ())), nanoseconds.min())
    )
    since = (nanoseconds - origin[rows]) / UNITS[unit]
    return since, None, None if ends is None else ((moments(ends) - origin) / UNITS[unit]).tolist()
