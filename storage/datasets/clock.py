"""Times: integer unix milliseconds, or ISO-8601 where the layout allows it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.dataset import Note
from storage.datasets.errors import Problems
from storage.datasets.tabular import LOCATED, Tabular

# 1e11 ms is March 1973 and 1e14 ms is the year 5138: data of people watching videos lies well between. In seconds the
# year 5138 is 1e11, so a whole column below it is a clock in seconds.
EARLIEST_MS = 10**11
LATEST_MS = 10**14


def _iso_to_ms(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def to_milliseconds(column: pl.Series, *, iso: bool) -> pl.Series:
    """Int64 unix milliseconds; null where the value is absent or not a time (ISO without a zone is UTC)."""
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if isinstance(column.dtype, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC") if column.dtype.time_zone else column.dt.replace_time_zone("UTC")
        return utc.dt.epoch("ms")
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("ms")).dt.epoch("ms")
    if column.dtype != pl.String:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Int64)
    text = column.str.strip_chars()
    times = text.cast(pl.Int64, strict=False)
    if iso:
        # Python's own parser, on distinct values: each row may have its own precision and zone.
        left = text.filter(times.is_null() & text.is_not_null()).unique()
        if len(left):
            parsed = pl.Series([_iso_to_ms(value) for value in left], dtype=pl.Int64)
            times = times.fill_null(text.replace_strict(left, parsed, default=None, return_dtype=pl.Int64))
    return times.alias(column.name)


def check_clock(
    path: Path, name: str, times: pl.Series, lines: Callable, problems: Problems, *, unit: str = "line"
) -> int:
    """Refuses clocks that are not milliseconds, and zero or negative times.

    times: Int64 without nulls; lines: callable(rows int64 array) -> line numbers, used only where something is wrong.
    Returns the number of plausible-looking times before 1973, which are allowed beside later ones but worth a note.
    """
    values = times.to_numpy()
    if not len(values):
        return 0
    wrong = np.flatnonzero(values <= 0)
    for line, row in zip(lines(wrong[:LOCATED]), wrong):
        problems.add(path, f"{name} is {values[row]}, must be positive unix milliseconds", line=line, unit=unit)
    if len(wrong):
        return 0
    if values.max() < EARLIEST_MS:
        problems.add(
            path,
            f"{name} is {values[0]}: every value is below {EARLIEST_MS:,}, so this clock is in seconds; "
            "unix milliseconds are needed (multiply the column by 1000)",
            line=lines(np.array([0]))[0],
            unit=unit,
        )
        return 0
    late = np.flatnonzero(values > LATEST_MS)
    if len(late):
        value = int(values[late[0]])
        finer, factor = ("nanoseconds", 10**6) if value > 10**17 else ("microseconds", 10**3)
        problems.add(
            path,
            f"{name} is {value}: {len(late):,} values are above {LATEST_MS:,}, so this clock is in {finer}; "
            f"unix milliseconds are needed (divide the column by {factor:,})",
            line=lines(late[:1])[0],
            unit=unit,
        )
        return 0
    return int((values < EARLIEST_MS).sum())


def read_times(file: Tabular, name: str, problems: Problems, notes: list[Note], *, iso: bool) -> pl.Series:
    """The column as Int64 unix milliseconds; problems for what is not a time or not in milliseconds."""
    given = file.frame[name]
    times = to_milliseconds(given, iso=iso)
    wrong = np.flatnonzero((times.is_null() & given.is_not_null()).to_numpy())
    allowed = "integer unix milliseconds" + (" or an ISO-8601 time" if iso else "")
    for line, row in zip(file.lines(wrong[:LOCATED]), wrong):
        problems.add(file.path, f"{name} is {given[int(row)]!r}, must be {allowed}", line=line, unit=file.unit)
    if not len(wrong):
        present = np.flatnonzero(times.is_not_null().to_numpy())
        early = check_clock(
            file.path, name, times.drop_nulls(), lambda rows: file.lines(present[rows]), problems, unit=file.unit
        )
        if early:
            notes.append(Note("warning", f"{file.path.name}: {early:,} values of {name} lie before March 1973"))
    return times
