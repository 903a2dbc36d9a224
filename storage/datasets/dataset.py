"""A data set as the rest of the project sees it, whatever layout it had on disk."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
DEFAULT_EVENT_TYPE = "comment"


class Note(NamedTuple):
    """Something that was cleaned or looks odd, and did not stop the reading."""

    severity: Literal["info", "warning"]
    text: str


@dataclass(frozen=True)
class Dataset:
    """Videos and feedback, validated.

    Attributes:
        folder: where it lies.
        layout: "microlens" or "plain".
        prefix: the MicroLens prefix, None in the plain form.
        videos: one row per item named anywhere (title, feedback, file, tag), in natural order: item str, path str|None
            (absolute media file), title str|None, category str|None, author str|None, published_at int64 unix ms|None.
        events: item str, user str|None, type str, time int64 unix ms; sorted by item (in the order of `videos`), then time,
            then the order of the files; none after `as_of`; exact duplicates of a user's event dropped.
        further: columns that no stage reads: "videos" (item, ...) in the order of `videos`, "events" (...) in that of
            `events`. Only frames that have any.
        as_of: the moment at which the data were taken, unix ms: as given, else the last event that doesn't stand apart.
        duplicates: how many rows were dropped as duplicates.
        notes: what was cleaned or looks odd, for people to read.
    """

    folder: Path
    layout: Literal["microlens", "plain"]
    prefix: str | None
    videos: pl.DataFrame
    events: pl.DataFrame
    further: Mapping[str, pl.DataFrame]
    as_of: int
    duplicates: int
    notes: list[Note]


def natural_key(item: str) -> str:
    """Return a sorting key in which runs of digits compare as numbers: '2' < '10', 'clip-9' < 'clip-10'."""
    return re.sub(r"\d+", lambda digits: digits.group().lstrip("0").zfill(40), item)


def natural_order(items: Iterable[str]) -> list[str]:
    """Return the distinct items, numbers numerically; of items that differ in leading zeros only the shorter comes first."""
    return sorted(set(items), key=lambda item: (natural_key(item), len(item), item))
