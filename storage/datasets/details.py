"""The usual columns about an item beside its texts: language, duration, size, description, hashtags."""

import re

import numpy as np
import polars as pl

from storage.datasets.column_names import fold
from storage.datasets.counts import parse_measures
from storage.datasets.dataset import DETAILS, Note
from storage.datasets.errors import Problems
from storage.datasets.tabular import Tabular

# No micro-video lasts three hours, so durations above are milliseconds.
LONGEST_SECONDS = 10_000
_NUMBERED_HASHTAG = re.compile(r"(?:hashtags?|tags)\d+(?:name|title)?")
_ISO_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_WORDED_DURATION = re.compile(
    r"(?:(\d+)\s*h(?:ours?|rs?)?)?\s*(?:(\d+)\s*m(?:in(?:ute)?s?)?)?\s*(?:(\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?)?",
    re.IGNORECASE,
)
_CLOCK_DURATION = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)")


def join_hashtags(table: Tabular) -> None:
    """Make one column of hashtags of columns such as `hashtags/0/name` and `hashtags/1/name`, unless there is one."""
    numbered = [column for column in table.further if _NUMBERED_HASHTAG.fullmatch(fold(column))]
    if numbered and "hashtags" not in table.frame.columns:
        table.join(numbered, "hashtags")


def read_details(table: Tabular, items: pl.Series, notes: list[Note]) -> pl.DataFrame:
    """Return the columns of DETAILS, one row per row of the table. A value that cannot be read is null, with a warning.

    Args:
        table: The table `videos`.
        items: (rows,) items.
        notes: Notes are added to this list.
    """
    columns = [items]
    for name, kind in list(DETAILS.items())[1:]:
        if name not in table.frame.columns:
            columns.append(pl.Series(name, [None] * len(items), dtype=kind))
        elif kind == pl.String:
            columns.append(_text(table, name, notes))
        else:
            column = table.frame[name]
            values = _seconds(column) if name == "duration" else parse_measures(column).values
            lost = np.flatnonzero((values.is_null() & column.is_not_null()).to_numpy())
            if len(lost):
                notes.append(
                    Note(
                        "warning",
                        f"{table.name}: {len(lost):,} values of {name} cannot be read and count as missing, first: "
                        f"{table.where(lost[:1])[0]} ({column[int(lost[0])]!r})",
                    )
                )
            if name == "duration":
                values = _told_in_seconds(table, values, notes)
            columns.append(values.alias(name))
    return pl.DataFrame(columns).cast(DETAILS)


def _text(table: Tabular, name: str, notes: list[Note]) -> pl.Series:
    column = table.frame[name]
    if isinstance(column.dtype, pl.List):
        inner = column.dtype.inner
        names = [one.name for one in inner.fields if one.name in ("name", "title")] if inner == pl.Struct else []
        if names:
            column = column.list.eval(pl.element().struct.field(names[0]))
            inner = pl.String
        if inner == pl.String:
            return column.list.join(" ").alias(name)
    problems = Problems()
    text = table.texts(name, problems, notes)
    notes += [Note("warning", f"{problem}; it counts as missing") for problem in problems.found]
    return text


def _seconds(column: pl.Series) -> pl.Series:
    """Return durations in seconds: numbers, `PT1M3S` (ISO-8601), `1:03` or `1m 3s`."""
    if column.dtype != pl.String:
        return parse_measures(column).values
    texts = column.drop_nulls().unique()
    told = {text: _duration(text.strip()) for text in texts}
    told = {text: seconds for text, seconds in told.items() if seconds is not None}
    parsed = column.replace_strict(told, default=None, return_dtype=pl.Float64)
    # in `1m` the letter is no million
    numbers = column.set(column.is_in(list(told)), None)
    return parsed.fill_null(parse_measures(numbers).values)


def _told_in_seconds(table: Tabular, values: pl.Series, notes: list[Note]) -> pl.Series:
    """Return durations in seconds if the column's name or its values say that it is in milliseconds."""
    if table.written["duration"].lower().endswith("ms"):
        return values / 1000
    if (values.median() or 0) > LONGEST_SECONDS:
        notes.append(Note("info", f"{table.name}: duration is read as milliseconds"))
        return values / 1000
    return values


def _duration(text: str) -> float | None:
    if (iso := _ISO_DURATION.fullmatch(text)) and any(iso.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in iso.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    clock = _CLOCK_DURATION.fullmatch(text) or _WORDED_DURATION.fullmatch(text)
    if clock and any(clock.groups()):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return (hours * 60 + minutes) * 60 + seconds
    return None
