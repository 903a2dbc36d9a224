"""Times: integer unix milliseconds, or ISO-8601 where the layout allows it; and the moment at which the data end."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import polars as pl

from storage.datasets.errors import LOCATED, Problems
from storage.datasets.tabular import Tabular

# 1e11 ms is March 1973 and 1e14 ms is the year 5138: data of people watching videos lies well between. In seconds the
# year 5138 is 1e11, so a whole column below it is a clock in seconds.
EARLIEST_MS = 10**11
LATEST_MS = 10**14
DAY_MS = 86_400_000
# Silence after which a few last events are taken for mistakes, if it is also longer than all the time before it.
SILENCE_MS = 90 * DAY_MS


def _iso_to_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _utc_to_ms(text: pl.Series) -> pl.Series:
    """Parse the common form of ISO-8601 in UTC by polars, forty times as fast as value by value; null for any other."""
    common = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:[0-5]\d(?:\.\d{1,6})?)(?:Z|\+00:00)?$"
    plain = text.str.replace(common, "${1}T${2}")
    plain = pl.select(pl.when(text.str.contains(common)).then(plain)).to_series()
    micros = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).dt.epoch("us")
    # to the nearest millisecond, as Python rounds; what lies between two is left to it
    return pl.select(pl.when(micros % 1000 != 500).then((micros + 500) // 1000)).to_series()


def read_moment(text: str) -> int:
    """Return a moment as unix milliseconds.

    Args:
        text: an ISO-8601 date (its first moment, UTC) or time (UTC without a zone), or unix time in seconds or milliseconds.

    Raises:
        ValueError: it is none of these.

    Example:
        >>> read_moment("2024-03-01") == read_moment("1709251200") == read_moment("1709251200000")
        True
    """
    text = text.strip()
    if text.isdecimal():
        value = int(text)
        value = value * 1000 if value < EARLIEST_MS else value
    else:
        value = _iso_to_ms(text)
    if value is None or not EARLIEST_MS <= value <= LATEST_MS:
        raise ValueError(
            "a date (2024-03-01, its first moment), a time (2024-03-01T12:00:00+02:00, UTC without a zone), or unix time in "
            f"seconds or milliseconds is allowed; got {text!r}"
        )
    return value


def tell_moment(ms: int) -> str:
    """Return a moment for people, in UTC: `2024-03-01 12:00:00 UTC`."""
    moment = np.datetime64(ms, "ms").astype("datetime64[s]")
    return f"{str(moment).replace('T', ' ')} UTC"


def to_milliseconds(column: pl.Series, *, iso: bool) -> pl.Series:
    """Return Int64 unix milliseconds; null where the value is absent or not a time (ISO without a zone is UTC)."""
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
        times = times.fill_null(_utc_to_ms(text))
        # Python's own parser, on distinct values: each row may have its own precision and zone.
        left = text.filter(times.is_null() & text.is_not_null()).unique()
        if len(left):
            parsed = pl.Series([_iso_to_ms(value) for value in left], dtype=pl.Int64)
            times = times.fill_null(text.replace_strict(left, parsed, default=None, return_dtype=pl.Int64))
    return times.alias(column.name)


def read_times(table: Tabular, name: str, problems: Problems, *, iso: bool) -> pl.Series:
    """Return the column as Int64 unix milliseconds; problems for what is not a time or not in milliseconds."""
    given = table.frame[name]
    allowed = "integer unix milliseconds" + (" or an ISO-8601 time" if iso else "")
    if given.dtype.is_nested():
        problems.add(table.path, f"{name} is {given.dtype}, must be {allowed}")
        return pl.Series(name, [None] * len(given), dtype=pl.Int64)
    times = to_milliseconds(given, iso=iso)
    wrong = np.flatnonzero((times.is_null() & given.is_not_null()).to_numpy())
    for place, row in zip(table.where(wrong[:LOCATED]), wrong):
        problems.add(place, f"{name} is {given[int(row)]!r}, must be {allowed}")
    if not len(wrong):
        _check_clock(table, name, times, problems)
    return times


def _check_clock(table: Tabular, name: str, times: pl.Series, problems: Problems) -> None:
    """Refuse clocks that are not milliseconds, and single times that cannot be."""
    present = np.flatnonzero(times.is_not_null().to_numpy())
    values = times.drop_nulls().to_numpy()
    if not len(values):
        return

    def places(wrong: np.ndarray) -> list[str]:
        return table.where(present[wrong[:LOCATED]])

    wrong = np.flatnonzero(values <= 0)
    for place, row in zip(places(wrong), wrong):
        problems.add(place, f"{name} is {values[row]}, must be positive unix milliseconds")
    if len(wrong):
        return
    early, late = np.flatnonzero(values < EARLIEST_MS), np.flatnonzero(values > LATEST_MS)
    if len(early) == len(values):
        problems.add(
            places(early)[0],
            f"{name} is {values[0]}: every value is below {EARLIEST_MS:,}, so this clock is in seconds; "
            "unix milliseconds are needed (multiply the column by 1000)",
        )
    elif len(late):
        value = int(values[late[0]])
        finer, factor = ("nanoseconds", 10**6) if value > 10**17 else ("microseconds", 10**3)
        problems.add(
            places(late)[0],
            f"{name} is {value}: {len(late):,} values are above {LATEST_MS:,}, so this clock is in {finer}; "
            f"unix milliseconds are needed (divide the column by {factor:,})",
        )
    else:
        for place, row in zip(places(early), early):
            problems.add(
                place,
                f"{name} is {values[row]}, {tell_moment(int(values[row]))} as unix milliseconds, beside later ones: is it in "
                "seconds, or cut off?",
            )


def end_of_data(times: np.ndarray) -> int:
    """Return the time of the last event that does not stand apart.

    Events at the end stand apart if the silence before them is longer than 90 days and longer than all the time before it,
    and if they are few: at most one in a thousand, or three in smaller sets, and never more than a tenth (but one may be).

    Args:
        times: (events,) unix milliseconds, in any order, at least one.
    """
    few = min(max(1, len(times) // 10), max(3, len(times) // 1000), len(times) - 1)
    last = np.sort(np.partition(times, len(times) - 1 - few)[len(times) - 1 - few :])
    first = times.min()
    for before, after in pairwise(last):
        if after - before > max(SILENCE_MS, before - first):
            return int(before)
    return int(last[-1])
