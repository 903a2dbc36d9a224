"""Times of a data set: the parsing of unix time and dates, and the time at which the data end."""

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import polars as pl

from storage.datasets.dataset import Note
from storage.datasets.date_forms import parse_dates
from storage.datasets.errors import LOCATED, Problems
from storage.datasets.tabular import Tabular

# 1e11 ms is March 1973 and 1e14 ms is the year 5138; views of online videos are between the two. In seconds, 1e11 is the
# year 5138, so a column whose values are all below 1e11 is in seconds.
EARLIEST_MS = 10**11
LATEST_MS = 10**14
DAY_MS = 86_400_000
# A few last events after a gap of this length count as mistakes if the gap is also longer than the time before it.
SILENCE_MS = 90 * DAY_MS
_CLOCK_STARTS, _CLOCK_ENDS = 946_684_800, 4_102_444_800  # 2000 and 2100, in seconds
ISO_EXAMPLE = "2024-03-01T12:00:00Z"


def _iso_to_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _utc_to_ms(text: pl.Series) -> pl.Series:
    """Parse the common form of ISO-8601 in UTC with polars, forty times as fast as one by one; null for other forms."""
    common = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:[0-5]\d(?:\.\d{1,6})?)(?:Z|\+00:00)?$"
    plain = text.str.replace(common, "${1}T${2}")
    plain = pl.select(pl.when(text.str.contains(common)).then(plain)).to_series()
    micros = plain.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False).dt.epoch("us")
    # Round to the nearest millisecond like Python; exact halves stay null, so that Python itself rounds them.
    return pl.select(pl.when(micros % 1000 != 500).then((micros + 500) // 1000)).to_series()


def read_moment(text: str) -> int:
    """Return a time as unix milliseconds.

    Args:
        text: An ISO-8601 date (midnight UTC at its start), an ISO-8601 time (UTC if it has no zone), or unix time in
            seconds or milliseconds.

    Raises:
        ValueError: The text has none of these forms.

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
            f"{text!r} is not a time; allowed are a date (2024-03-01: 00:00 UTC), a time (2024-03-01T12:00:00+02:00; UTC if "
            "it has no zone), or unix time in seconds or milliseconds"
        )
    return value


def tell_moment(ms: int) -> str:
    """Return a time as text for messages: `2024-03-01 12:00:00 UTC`."""
    moment = np.datetime64(ms, "ms").astype("datetime64[s]")
    return f"{str(moment).replace('T', ' ')} UTC"


def to_milliseconds(column: pl.Series, *, iso: bool) -> pl.Series:
    """Return a column as Int64 unix milliseconds; null where the value is null or not a time.

    Args:
        column: Integers, dates, timestamps or text.
        iso: Whether text may be ISO-8601 (UTC if it has no zone), and whole floats are allowed; otherwise text must be an
            integer.
    """
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False)
    if isinstance(column.dtype, pl.Datetime):
        utc = column.dt.convert_time_zone("UTC") if column.dtype.time_zone else column.dt.replace_time_zone("UTC")
        return utc.dt.epoch("ms")
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("ms")).dt.epoch("ms")
    # pandas writes whole numbers as floats where the column has missing values
    if column.dtype.is_float() and iso:
        whole = column.cast(pl.Int64, strict=False)
        return pl.select(pl.when(whole == column).then(whole).alias(column.name)).to_series()
    if column.dtype != pl.String:
        return pl.Series(column.name, [None] * len(column), dtype=pl.Int64)
    text = column.str.strip_chars()
    times = (text.str.replace(r"^(\d+)\.0$", "${1}") if iso else text).cast(pl.Int64, strict=False)
    if iso:
        times = times.fill_null(_utc_to_ms(text))
        # Other forms are parsed by Python, once per distinct value: each row may have its own precision and zone.
        left = text.filter(times.is_null() & text.is_not_null()).unique()
        if len(left):
            parsed = pl.Series([_iso_to_ms(value) for value in left], dtype=pl.Int64)
            times = times.fill_null(text.replace_strict(left, parsed, default=None, return_dtype=pl.Int64))
    return times.alias(column.name)


def read_times(table: Tabular, name: str, problems: Problems, notes: list[Note], *, any_form: bool) -> pl.Series:
    """Return a column of times as Int64 unix milliseconds.

    Args:
        table: The table.
        name: The column's name.
        problems: Problems are added here: values that are no times, or not in milliseconds.
        notes: A note about a form other than unix milliseconds and ISO-8601 is added here.
        any_form: Whether dates (ISO-8601 and `date_forms`) and unix time in seconds, micro- or nanoseconds are allowed.
            Otherwise only integer unix milliseconds are.
    """
    column = table.frame[name]
    allowed = "integer unix milliseconds" + (" or an ISO-8601 time" if any_form else "")
    if column.dtype.is_nested():
        problems.add(table.path, f"{name} is {column.dtype}, must be {allowed}")
        return pl.Series(name, [None] * len(column), dtype=pl.Int64)
    times = to_milliseconds(column, iso=any_form)
    unread = times.is_null() & column.is_not_null()
    if any_form and unread.any() and (seconds := _fractional_seconds(column)) is not None:
        notes.append(Note("info", f"{table.name}: {name} is in seconds since 1970"))
        return seconds
    if any_form and column.dtype == pl.String and unread.any():
        texts = column.str.strip_chars()
        left = texts.filter(unread).unique(maintain_order=True)
        dates = parse_dates(left)
        if dates.ambiguous:
            problems.add(table.path, f"{name}: {dates.ambiguous}; write it as {ISO_EXAMPLE}")
            return times
        if dates.told:
            times = times.fill_null(texts.replace_strict(left, dates.times, default=None, return_dtype=pl.Int64))
            notes.append(Note("info", f"{table.name}: {name} {dates.told}"))
    wrong = np.flatnonzero((times.is_null() & column.is_not_null()).to_numpy())
    for place, row in zip(table.where(wrong[:LOCATED]), wrong):
        problems.add(place, f"{name} is {column[int(row)]!r}, must be {allowed}")
    if len(wrong):
        return times
    if any_form and (clock := _other_clock(times)):
        times, told = clock
        notes.append(Note("info", f"{table.name}: {name} is in {told}"))
    _check_clock(table, name, times, problems)
    return times


def _fractional_seconds(column: pl.Series) -> pl.Series | None:
    """Return unix seconds with fractions as milliseconds; None unless all values are between 2000 and 2100."""
    if not (column.dtype == pl.String or column.dtype.is_float()):
        return None
    values = column.cast(pl.Float64, strict=False)
    if values.null_count() > column.null_count() or not values.is_between(_CLOCK_STARTS, _CLOCK_ENDS).all():
        return None
    return (values * 1000).round().cast(pl.Int64).alias(column.name)


def _other_clock(times: pl.Series) -> tuple[pl.Series, str] | None:
    """Return times that are dates such as 20240301, or unix time in another unit, as milliseconds, and the unit in words.

    A unit counts only if all times are between 2000 and 2100 in it.
    """
    if not times.count():
        return None
    least, most = times.min(), times.max()
    if 19_900_101 <= least <= most <= 21_001_231:
        days = times.cast(pl.String).str.to_date("%Y%m%d", strict=False)
        if days.null_count() == times.null_count():
            return days.cast(pl.Datetime("ms")).dt.epoch("ms").alias(times.name), "dates such as 20240301"
    for unit, per_second in (("seconds", 1), ("microseconds", 10**6), ("nanoseconds", 10**9)):
        if _CLOCK_STARTS * per_second <= least <= most <= _CLOCK_ENDS * per_second:
            scaled = times * 1000 if per_second == 1 else times // (per_second // 1000)
            return scaled, f"{unit} since 1970"
    return None


def _check_clock(table: Tabular, name: str, times: pl.Series, problems: Problems) -> None:
    """Add problems for columns that are not in milliseconds, and for single impossible times."""
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
            f"{name} is {values[0]}: every value is below {EARLIEST_MS:,}, so this column is in seconds; "
            "unix milliseconds are needed (multiply the column by 1000)",
        )
    elif len(late):
        value = int(values[late[0]])
        finer, factor = ("nanoseconds", 10**6) if value > 10**17 else ("microseconds", 10**3)
        problems.add(
            places(late)[0],
            f"{name} is {value}: {len(late):,} values are above {LATEST_MS:,}, so this column is in {finer}; "
            f"unix milliseconds are needed (divide the column by {factor:,})",
        )
    else:
        for place, row in zip(places(early), early):
            problems.add(
                place,
                f"{name} is {values[row]}, as unix milliseconds {tell_moment(int(values[row]))}, while other values are after "
                "March 1973; is it in seconds, or cut off?",
            )


def end_of_data(times: np.ndarray) -> int:
    """Return the time of the last event that is not isolated.

    The last events are isolated if the gap before them is longer than 90 days and longer than the whole time before the
    gap, and if they are few: at most one in a thousand events, or three in smaller sets, but never more than a tenth of
    the events (a single one is always few).

    Args:
        times: (events,) unix milliseconds, in any order, at least one.

    Example:
        >>> day = 86_400_000
        >>> end_of_data(np.array([0, 1, 2, 3000]) * day) // day
        2
    """
    few = min(max(1, len(times) // 10), max(3, len(times) // 1000), len(times) - 1)
    last = np.sort(np.partition(times, len(times) - 1 - few)[len(times) - 1 - few :])
    first = times.min()
    for before, after in pairwise(last):
        if after - before > max(SILENCE_MS, before - first):
            return int(before)
    return int(last[-1])
