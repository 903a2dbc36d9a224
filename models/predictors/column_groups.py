"""Groups of the table's columns, by name: counts, users, categories, place and time, tags, and the rest."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, get_args

from models.predictors.table import Table

Group = Literal["counts", "user", "category", "time", "tags", "other"]
# docs/metadata.md lists the columns.
PATTERNS: dict[Group, str] = {
    "counts": r"age_hours|events.*|users|hours_since_event|counter_.*|counter .*",
    "user": r"author|author_.*|history_.*",
    "category": r"category_\d+|language",
    "time": r"hour|weekday|label_days",
    "tags": r"hashtag_count|mention_count|hashtags .*",
}


def group_of(column: str) -> Group:
    """Return the group of a column of `assets.metadata.window_table`; columns that no pattern names are "other".

    Example:
        >>> group_of("events_log2 like"), group_of("category_2"), group_of("duration")
        ('counts', 'category', 'other')
    """
    return next((group for group, pattern in PATTERNS.items() if re.fullmatch(pattern, column)), "other")


def columns_of(table: Table, groups: Collection[Group]) -> Table:
    """Return the columns of a table that belong to some groups.

    Raises:
        ValueError: A group is unknown; the message lists the known ones.
    """
    if unknown := set(groups) - set(get_args(Group)):
        raise ValueError(f"groups must be among {', '.join(get_args(Group))}, given {', '.join(sorted(unknown))}")
    numbers, categories = (
        [place for place, name in enumerate(names) if group_of(name) in groups]
        for names in (table.numeric_names, table.categorical_names)
    )
    return Table(
        table.numeric[:, numbers],
        tuple(table.numeric_names[place] for place in numbers),
        table.categorical[:, categories],
        tuple(table.categorical_names[place] for place in categories),
    )
