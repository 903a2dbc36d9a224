"""A data set as the rest of the project sees it, whatever layout it had on disk."""

import re
from collections.abc import Iterable
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

    videos: one row an item named anywhere (title, feedback, file, tag), in natural order: item str, path str|None
        (absolute media file), title str|None, category str|None, author str|None, published_at int64 unix ms|None.
    events: item str, user str|None, type str, time int64 unix ms; sorted by item (in the order of `videos`), then time,
        then the order of the file; exact duplicates dropped.
    notes: what was cleaned, for people to read.
    layout: "microlens" or "plain"; prefix: the MicroLens prefix, None in the plain form.
    """

    folder: Path
    layout: Literal["microlens", "plain"]
    prefix: str | None
    videos: pl.DataFrame
    events: pl.DataFrame
    notes: list[Note]


def natural_key(item: str) -> str:
    """Sorting key in which runs of digits compare as numbers: '2' < '10', 'clip-9' < 'clip-10'."""
    return re.sub(r"\d+", lambda digits: digits.group().lstrip("0").zfill(40), item)


def natural_order(items: Iterable[str]) -> list[str]:
    """Distinct items, numbers numerically; items that only differ in leading zeros keep the shorter first."""
    return sorted(set(items), key=lambda item: (natural_key(item), len(item), item))


def clean_events(events: pl.DataFrame, order: list[str], notes: list[Note], *, source: str) -> pl.DataFrame:
    """Drops exact duplicate rows (the first stays) and sorts by (item in `order`, time, row)."""
    distinct = events.unique(keep="first", maintain_order=True)
    dropped = events.height - distinct.height
    if dropped:
        notes.append(
            Note("info", f"{source}: {dropped:,} exact duplicate rows dropped, {distinct.height:,} events stay")
        )
    rank = pl.col("item").cast(pl.Enum(order)).to_physical()
    return distinct.sort(rank, "time", maintain_order=True).select(EVENTS.names()).cast(EVENTS)


def check_publication(videos: pl.DataFrame, events: pl.DataFrame, notes: list[Note]) -> None:
    """Notes the items whose feedback starts before their publication: one of the two clocks is wrong."""
    first = events.group_by("item").agg(first=pl.col("time").min())
    early = videos.join(first, on="item").filter(pl.col("first") < pl.col("published_at"))
    if early.height:
        example = early.row(0, named=True)
        notes.append(
            Note(
                "warning",
                f"{early.height:,} items have feedback before their publication, first: item {example['item']}, "
                f"published at {example['published_at']}, first event at {example['first']}",
            )
        )
