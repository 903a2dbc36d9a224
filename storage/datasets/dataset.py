"""The data set as the rest of the project sees it, independent of its layout on disk."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl

VIDEOS = pl.Schema(
    {
        "item": pl.String,
        "path": pl.String,
        "title": pl.String,
        "category": pl.String,
        "author": pl.String,
        "published_at": pl.Int64,
    }
)
EVENTS = pl.Schema({"item": pl.String, "user": pl.String, "type": pl.String, "time": pl.Int64})
COUNTERS = pl.Schema({"item": pl.String, "metric": pl.String, "time": pl.Int64, "value": pl.Int64})
DETAILS = pl.Schema(
    {
        "item": pl.String,
        "language": pl.String,
        "duration": pl.Float64,
        "width": pl.Float64,
        "height": pl.Float64,
        "description": pl.String,
        "hashtags": pl.String,
    }
)
DEFAULT_EVENT_TYPE = "comment"
Layout = Literal["microlens", "plain", "vine", "smpd", "smtpd"]


class Note(NamedTuple):
    """A remark on data that were cleaned or look unusual, but can be used.

    Attributes:
        severity: `info` or `warning`.
        text: The remark.
    """

    severity: Literal["info", "warning"]
    text: str


@dataclass(frozen=True)
class Dataset:
    """Validated videos, events and counters.

    Attributes:
        folder: The data set's folder.
        layout: "microlens", "plain", "vine", "smpd" or "smtpd".
        prefix: The MicroLens prefix, None in other layouts.
        videos: One row per item that any file names (title, feedback, media, tag), in natural order: item str, path
            str|None (absolute media file), title str|None, category str|None, author str|None, published_at int64 unix
            ms|None.
        events: item str, user str|None, type str, time int64 unix ms. Sorted by item (in the order of `videos`), then time,
            then the order of the files. There are none after `as_of`, and exact duplicates of a user's event are dropped.
        further: Columns that no stage reads: "videos" (item, ...) in the order of `videos`, "events" (...) in the order of
            `events`. A key is absent if there are no such columns.
        as_of: When the data were collected, unix ms: as given, else the last event or count that is not isolated.
        duplicates: How many rows were dropped as duplicates.
        notes: Remarks on data that were cleaned or look unusual.
        counters: Counts that were read off: item str, metric str, time int64 unix ms|None (None: a final count whose time is
            unknown), value int64. Sorted by item (in the order of `videos`), metric, time; counts without a time come last.
            There are none after `as_of` or before an item's publication, and no count is below an earlier one.
        details: Usual columns of `videos` that are no part of VIDEOS, one row per item in the order of `videos`: item,
            language, duration (s), width, height (pixels), description, hashtags. Null where the data set has no value.
        features: `item` and the columns of `videos` that were asked for by name, in the order of `videos`: Float64, or
            String for a category.
        authors: Statistics of authors: author str, time int64 unix ms|None (None: unknown when they were taken), and one
            Float64 column per statistic. None if the data set has none.
    """

    folder: Path
    layout: Layout
    prefix: str | None
    videos: pl.DataFrame
    events: pl.DataFrame
    further: Mapping[str, pl.DataFrame]
    as_of: int
    duplicates: int
    notes: list[Note]
    counters: pl.DataFrame = field(default_factory=COUNTERS.to_frame)
    details: pl.DataFrame = field(default_factory=DETAILS.to_frame)
    features: pl.DataFrame = field(default_factory=pl.Schema({"item": pl.String}).to_frame)
    authors: pl.DataFrame | None = None


def natural_key(item: str) -> str:
    """Return a sort key in which runs of digits compare as numbers: '2' < '10', 'clip-9' < 'clip-10'."""

    def comparable(digits: re.Match[str]) -> str:
        number = digits.group().lstrip("0")
        return f"{len(number):06}{number}"  # the longer of two numbers without leading zeros is the greater

    return re.sub(r"\d+", comparable, item)


def natural_order(items: Iterable[str]) -> list[str]:
    """Return the distinct items in natural order. Of items that differ only in leading zeros, the shorter comes first.

    Example:
        >>> natural_order(["10", "clip-9", "2", "clip-10", "02"])
        ['2', '02', '10', 'clip-9', 'clip-10']
    """
    items = set(items)
    numbers = pl.Series("item", list(items), dtype=pl.String)
    if numbers.str.contains(r"^[0-9]+$").all():  # the usual case, four times as fast
        number = pl.col("item").str.strip_chars_start("0")
        return numbers.to_frame().sort(number.str.len_chars(), number, pl.col("item").str.len_chars())["item"].to_list()
    return sorted(items, key=lambda item: (natural_key(item), len(item), item))
