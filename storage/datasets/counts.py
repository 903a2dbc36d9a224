"""Counts as people write them: 1,234,567 and 541.2K and 1,2 Mio; one reading of points and commas per column."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from storage.datasets.column_names import metric_of
from storage.datasets.ids import missing_words

_NUMBER = re.compile(r"([+-]?)(\d[\d.,]*|[.,]\d+)(?:[eE]([+-]?\d+))?([^\W\d_]*)\+?")
_FACTORS = {
    "": 1,
    **dict.fromkeys(("k", "tsd"), 10**3),
    **dict.fromkeys(("m", "mn", "mio", "mil"), 10**6),
    **dict.fromkeys(("b", "bn", "g", "mrd"), 10**9),
    "lakh": 10**5,
    "crore": 10**7,
    "cr": 10**7,
    "万": 10**4,
    "萬": 10**4,
    "亿": 10**8,
    "億": 10**8,
}
_PEOPLE = {"follower", "followers", "subscriber", "subscribers", "fan", "fans", "following"}
_LAST_WORD = re.compile(r"\s+([^\W\d_]+)$")
# Blanks between thousands, and before a suffix.
_GAPS = re.compile(r"(?<=\d)[\s_'’](?=\d{3}(?!\d))|(?<=[\d.,])\s+(?=[^\W\d_])")


@dataclass(frozen=True)
class Counts:
    """A column of counts.

    Attributes:
        values: (rows,) Float64; null where the column has no value or one that cannot be read.
        wrong: Rows whose text is no number.
        told: What was assumed about the spelling, in words; None if all are plain numbers.
        problem: Why the column cannot be used, in words: both readings if it has two, or its type.
    """

    values: pl.Series
    wrong: np.ndarray
    told: str | None = None
    problem: str | None = None


def parse_counts(column: pl.Series, *, mark: str | None = None) -> Counts:
    """Return a column's numbers. Text may have thousands separators, a decimal point or comma, and a suffix such as K.

    A word for what is counted may follow the number: `1.2M views`.

    A point or comma is a decimal one or separates thousands in the whole column. A number such as `1,234567` or `541,2K`
    shows the first, one such as `1,234,567` the second. If nothing in the column shows it, `1,234` is 1234, because a count
    is whole; `1.234` could be either and is ambiguous.

    Args:
        column: The column.
        mark: Decimal mark of other columns of the table, for a column that does not show its own (`common_mark`).

    Example:
        >>> parse_counts(pl.Series(["541.2K", "1,234", None, "12"])).values.to_list()
        [541200.0, 1234.0, None, 12.0]
        >>> parse_counts(pl.Series(["1.234", "17"])).problem
        "'1.234' is 1234 or the fraction 1.234"
    """
    none = np.empty(0, dtype=np.int64)
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        values = column.cast(pl.Float64)
        return Counts(pl.select(pl.when(values.is_finite()).then(values).alias(column.name)).to_series(), none)
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        nothing = pl.Series(column.name, [None] * len(column), dtype=pl.Float64)
        if column.dtype.is_nested():
            return Counts(nothing, none, problem=f"its values are {column.dtype}")
        return Counts(nothing, np.flatnonzero(column.is_not_null().to_numpy()))
    text = column.str.strip_chars()
    text = pl.select(pl.when((text != "") & ~missing_words(text) & ~text.is_in(["-", "--"])).then(text)).to_series()
    plain = pl.select(pl.when(text.str.contains(r"^[+-]?\d+(?:\.0{0,2})?$")).then(text)).to_series()
    values = plain.str.strip_prefix("+").cast(pl.Float64, strict=False)
    left = text.filter(values.is_null() & text.is_not_null()).unique(maintain_order=True)
    if not len(left):
        return Counts(values.alias(column.name), none)

    found = _numbers(left)
    decimal, ambiguous = _decimal_mark(found, mark)
    if ambiguous:
        return Counts(values, none, problem=ambiguous)
    read = {one: _value(match, decimal) for one, match in found.items()}
    numbers = pl.Series([read.get(one) for one in left.to_list()], dtype=pl.Float64)
    values = values.fill_null(text.replace_strict(left, numbers, default=None, return_dtype=pl.Float64))
    example = next((one for one, number in read.items() if number is not None), None)
    told = None if example is None else f"{example!r} is read as {read[example]:,.15g}"
    return Counts(values.alias(column.name), np.flatnonzero((text.is_not_null() & values.is_null()).to_numpy()), told)


def parse_measures(column: pl.Series) -> Counts:
    """Return a column's numbers, which need not be whole, such as durations.

    A point is a decimal point if no value has any other mark; otherwise the column is read as counts are.

    Example:
        >>> parse_measures(pl.Series(["1.234", "17", None])).values.to_list()
        [1.234, 17.0, None]
    """
    if column.dtype == pl.String:
        values = column.cast(pl.Float64, strict=False)
        if values.is_finite().sum() == column.count():
            return Counts(values, np.empty(0, dtype=np.int64))
    return parse_counts(column)


def common_mark(columns: Iterable[pl.Series]) -> str | None:
    """Return the decimal mark that some of the columns show; None if none shows it, or they differ.

    Example:
        >>> common_mark([pl.Series(["1.234"]), pl.Series(["1.234.567"])])
        ','
    """
    texts = [column.str.strip_chars() for column in columns if column.dtype == pl.String]
    marks = {mark for text in texts for mark in _shown(_numbers(text.filter(text.str.contains("[.,]")).unique()))[0]}
    return marks.pop() if len(marks) == 1 else None


def _numbers(texts: pl.Series) -> dict[str, re.Match[str]]:
    """Return the parts of each text that is a number, perhaps with a word for what is counted after it."""
    bodies = {}
    for text in texts.to_list():
        word = _LAST_WORD.search(text)
        counted = word and (metric_of(word[1]) or word[1].lower() in _PEOPLE)
        number = text[: word.start()] if counted else text
        bodies[text] = _NUMBER.fullmatch(_GAPS.sub("", number))
    return {text: match for text, match in bodies.items() if match and match[4].lower() in _FACTORS}


def _decimal_mark(numbers: Mapping[str, re.Match[str]], mark: str | None) -> tuple[str, str | None]:
    """Return the decimal mark of a column's numbers, and both readings in words if it cannot be told.

    Args:
        numbers: The numbers, from `_numbers`.
        mark: The decimal mark if no number shows it; None if that is unknown.
    """
    shown, undecided = _shown(numbers)
    if len(shown) == 2:
        return ".", f"{shown['.']!r} has '.' as its decimal mark, and {shown[',']!r} has ','"
    if undecided and not shown and mark is None:
        number, before, after, suffix = undecided
        return ".", f"{number!r} is {before}{after}{suffix} or the fraction {before}.{after}{suffix}"
    return next(iter(shown), mark or "."), None


def _shown(numbers: Mapping[str, re.Match[str]]) -> tuple[dict[str, str], tuple[str, str, str, str] | None]:
    """Return decimal mark -> the first number that shows it, and the parts of a number that could have either mark."""
    shown: dict[str, str] = {}
    undecided = None
    for number, match in numbers.items():
        body, suffix = match[2], match[4]
        marks = [mark for mark in ".," if mark in body]
        if not marks:
            continue
        last = max(marks, key=body.rindex)
        before, after = body.rsplit(last, 1)
        if body.count(last) > 1:
            shown.setdefault("," if last == "." else ".", number)
        elif len(marks) == 2 or len(after) != 3 or len(before) > 3 or before in ("", "0"):
            shown.setdefault(last, number)
        elif last == "." or suffix:
            undecided = undecided or (number, before, after, suffix)
    return shown, undecided


def _value(match: re.Match[str], decimal: str) -> float | None:
    sign, body, exponent, suffix = match.groups()
    groups, _, fraction = body.partition(decimal)
    first, *rest = groups.split("," if decimal == "." else ".")
    if any(len(group) != 3 for group in rest) or (rest and not 1 <= len(first) <= 3) or not f"{fraction}0".isdigit():
        return None
    number = float(f"{sign}{first or 0}{''.join(rest)}.{fraction or 0}e{exponent or 0}")
    return round(number * _FACTORS[suffix.lower()], 6)
