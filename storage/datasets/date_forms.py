"""Dates as spreadsheets and web interfaces write them; the order of day and month is one per column."""

from dataclasses import dataclass

import polars as pl

EARLIEST_YEAR = 1970
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S%.f", " %I:%M %p", " %I:%M:%S %p")
_ONE_ORDER = tuple(
    date + clock
    for date in (
        *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y年%m月%d日", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y"),
        *("%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
    )
    for clock in _CLOCKS
)
_WITH_ZONE = (
    *("%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y/%m/%d %H:%M:%S %z"),
    *("%d %b %Y %H:%M:%S %z",),
)
# Only one order of each group can be right for a column; if two parse all of its values, the column is ambiguous.
_ORDERS = (
    ("%d/%m/%Y", "%m/%d/%Y"),
    ("%d-%m-%Y", "%m-%d-%Y"),
    ("%d.%m.%Y",),
    ("%d/%m/%y", "%m/%d/%y", "%y/%m/%d"),
    ("%d.%m.%y", "%y.%m.%d", "%y.%d.%m"),
    ("%Y%m%d",),
)
_WORDS = {"%d": "day", "%m": "month", "%Y": "year", "%y": "year"}


@dataclass(frozen=True)
class Dates:
    """Parsed dates.

    Attributes:
        times: Int64 unix ms; null for all values if no form fits every value.
        told: The form in words, with an example; None if none fits.
        ambiguous: Both readings, in words, if two orders of day and month fit every value.
    """

    times: pl.Series
    told: str | None = None
    ambiguous: str | None = None


def parse_dates(texts: pl.Series) -> Dates:
    """Return the times of texts that share one form. Times without a zone are UTC.

    Example:
        >>> parse_dates(pl.Series(["25/12/2023", "01/02/2024"])).told
        "'25/12/2023' is read as 2023-12-25 00:00:00"
        >>> parse_dates(pl.Series(["03/04/2024"])).ambiguous
        "'03/04/2024' is 2024-04-03 (day/month/year) or 2024-03-04 (month/day/year)"
    """
    zoned = texts.str.replace(r"(?:GMT|UTC|Z)$", "+0000").str.strip_chars()
    for form in _WITH_ZONE:
        if (times := _parse(zoned, form)) is not None:
            return _only(texts, times)
    zoneless = zoned.str.replace(r"\s*\+0000$", "").str.replace(r"(\d)T(\d)", "${1} ${2}")
    # a weekday tells nothing more, and neither does the point of an abbreviated month or a comma before the time
    zoneless = zoneless.str.replace(r"(?i)^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+", "")
    zoneless = zoneless.str.replace(r"\b([A-Za-z]{3})\.", "${1}").str.replace(r",\s*(\d{1,2}:\d\d)", " ${1}")
    for form in _ONE_ORDER:
        if (times := _parse(zoneless, form)) is not None:
            return _only(texts, times)
    for orders in _ORDERS:
        for clock in _CLOCKS:
            fits = {order: times for order in orders if (times := _parse(zoneless, order + clock)) is not None}
            if not fits:
                continue
            (first, times), *others = fits.items()
            for order, other in others:
                if not other.equals(times):
                    row = int((times != other).arg_true()[0])
                    readings = " or ".join(
                        f"{_tell(one[row], date=True)} ({_words(name)})"
                        for name, one in ((first, times), (order, other))
                    )
                    return Dates(_nothing(texts), ambiguous=f"{texts[row]!r} is {readings}")
            return _only(texts, times)
    return Dates(_nothing(texts))


def _parse(texts: pl.Series, form: str) -> pl.Series | None:
    """Return the times as Int64 ms if every text has the form, else None."""
    for part in (texts.head(1), texts):  # most forms fail at the first value
        if "%H" not in form and "%I" not in form:
            moments = part.str.to_date(form, strict=False).cast(pl.Datetime("ms"))
        else:
            moments = part.str.to_datetime(form, time_unit="ms", strict=False)
        if moments.null_count() or (moments.dt.year() < EARLIEST_YEAR).any():  # the year 20 is no year of four digits
            return None
    return moments.dt.epoch("ms")


def _only(texts: pl.Series, times: pl.Series) -> Dates:
    return Dates(times, told=f"{texts[0]!r} is read as {_tell(times[0])}")


def _nothing(texts: pl.Series) -> pl.Series:
    return pl.Series([None] * len(texts), dtype=pl.Int64)


def _tell(ms: int, *, date: bool = False) -> str:
    moment = pl.Series([ms]).cast(pl.Datetime("ms"))
    return moment.dt.to_string("%Y-%m-%d" if date else "%Y-%m-%d %H:%M:%S")[0]


def _words(order: str) -> str:
    for code, word in _WORDS.items():
        order = order.replace(code, word)
    return order
