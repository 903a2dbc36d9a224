"""Statistics of authors: a table `authors`, or columns of `videos` such as `author_followers`."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.clock import read_times
from storage.datasets.column_names import AUTHOR_NAMES, AUTHOR_TIERS, fold
from storage.datasets.counts import parse_measures
from storage.datasets.dataset import Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.tabular import Tabular, read_tabular

_PERSON = r"(?:author|user|uploader|channel|creator|owner)(?:meta|stats)?"
_STATISTIC = r"(?P<what>(?:follower|fan|subscriber|following|friend|post|video|like|heart|loop)s?|verified)(?:count)?"
# `followers` alone is a person's; `likes` alone counts a video's.
_OF_AN_AUTHOR = re.compile(rf"{_PERSON}{_STATISTIC}|(?P<alone>followers?|fans?|subscribers?|followings?)(?:count)?")
_STANDARD = {
    **dict.fromkeys(("follower", "fan", "subscriber"), "followers"),
    "like": "likes",
    "heart": "likes",
    "post": "posts",
    "video": "posts",
    "loop": "loops",
    "friend": "friends",
}


def read_author_table(paths: Sequence[Path], problems: Problems, notes: list[Note]) -> pl.DataFrame:
    """Read a table `authors`: `author`, optionally `time`, and columns of numbers.

    Args:
        paths: The table's files.
        problems: Problems are added here: an author with two rows for one time.
        notes: What was assumed is added here.

    Returns:
        See `Dataset.authors`.

    Raises:
        DatasetError: A file cannot be read, or has no column of numbers.
    """
    table = read_tabular(paths, names=AUTHOR_NAMES, tiers=AUTHOR_TIERS, required=("author",), notes=notes)
    authors = table.ids("author", problems, notes)
    if "time" in table.frame.columns:
        times = read_times(table, "time", problems, notes, any_form=True)
    else:
        times = pl.Series("time", [None] * len(authors), dtype=pl.Int64)
        notes.append(Note("info", f"{table.name}: no column time, so it is unknown when the statistics were taken"))
    statistics = _statistics(table, {column: column for column in table.further})
    if not statistics:
        raise DatasetError([f"{table.path}: no column of numbers among {', '.join(table.frame.columns)}"])
    frame = pl.DataFrame([authors, times.alias("time"), *statistics.values()])
    twice = np.flatnonzero((~frame.select(pl.struct("author", "time").is_first_distinct()).to_series()).to_numpy())
    for place, row in zip(table.where(twice[:LOCATED]), twice):
        problems.add(place, f"author {authors[int(row)]} is given twice; one row per author and time is allowed")
    table.tell_further(notes, used=set(statistics))
    return frame.sort("author", "time", nulls_last=True)


def authors_of_videos(
    table: Tabular, times: pl.Series | None, problems: Problems, notes: list[Note]
) -> tuple[pl.DataFrame | None, list[str]]:
    """Return the statistics of authors that `videos` holds in its rows, and the names of their columns.

    Args:
        table: The table `videos`.
        times: (rows,) when each row was taken, unix ms or null; None if the table has no counts.
        problems: Problems are added here.
        notes: What was assumed is added here.
    """
    columns: dict[str, str] = {}
    for column in table.further:
        if match := _OF_AN_AUTHOR.fullmatch(fold(column)):
            word = match["what"] or match["alone"]
            name = _STANDARD.get(word.removesuffix("s"), word)
            columns.setdefault(name, column)
    statistics = _statistics(table, {column: name for name, column in columns.items()})
    if "author" not in table.frame.columns or not statistics:
        return None, []
    authors = table.texts("author", problems, [])
    if times is None:
        times = pl.Series("time", [None] * len(authors), dtype=pl.Int64)
    told = ", ".join(f"{column!r} is read as the author's {series.name}" for column, series in statistics.items())
    notes.append(Note("info", f"{table.name}: {told}"))
    frame = pl.DataFrame([authors, times.alias("time"), *statistics.values()]).drop_nulls("author")
    frame = frame.sort("author", "time", nulls_last=True, maintain_order=True)
    return frame.unique(["author", "time"], keep="first", maintain_order=True), list(statistics)


def _statistics(table: Tabular, columns: dict[str, str]) -> dict[str, pl.Series]:
    """Return column -> its numbers under a new name, for columns in which every value is a number."""
    found = {}
    for column, name in columns.items():
        counts = parse_measures(table.frame[column])
        if not counts.problem and not len(counts.wrong) and counts.values.count():
            found[column] = counts.values.alias(name)
    return found
