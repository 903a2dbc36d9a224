"""Columns of `videos` that the user names as features (`data.features`)."""

from collections.abc import Sequence

import polars as pl

from storage.datasets.column_names import fold
from storage.datasets.counts import parse_measures
from storage.datasets.errors import Problems
from storage.datasets.tabular import Tabular

CATEGORY = ":category"


def named_features(table: Tabular, asked: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Return `item` and the columns that were asked for, and the names of these columns in the table.

    A column of numbers is numeric (Float64); any other is a category (String). `name:category` makes a category of a column
    of numbers, such as an id.

    Args:
        table: The table `videos`.
        asked: Names of columns, as written in the file or standard, compared without case, blanks and punctuation.

    Raises:
        DatasetError: The table has no such column, or it can be neither text nor number.
    """
    places = {fold(name): name for name in table.frame.columns}
    places |= {fold(written): name for name, written in table.written.items()}
    named: list[str] = []
    problems, series = Problems(), {}
    for ask in asked:
        name = ask.removesuffix(CATEGORY)
        column = places.get(fold(name))
        if column is None:
            there = ", ".join(table.written.get(one, one) for one in table.frame.columns)
            problems.add(table.path, f"no column {name!r}, which data.features names; its columns are {there}")
            continue
        named.append(column)
        series[name] = _feature(table, column, problems, as_category=ask != name).alias(name)
    problems.raise_if_any()
    items = table.ids("item", Problems(), [])
    return pl.DataFrame([items, *(one for name, one in series.items() if name != "item")]), named


def _feature(table: Tabular, column: str, problems: Problems, *, as_category: bool) -> pl.Series:
    values = table.frame[column]
    numbers = parse_measures(values)
    if not as_category and not numbers.problem and not len(numbers.wrong):
        return numbers.values
    return table.texts(column, problems, [])
