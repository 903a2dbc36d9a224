"""Rows of a data set that are valid but improbable, such as more likes than views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

EXAMPLES = 5
VIEWS = ("view", "views", "play", "plays")
LONGEST = 600.0  # s of a micro-video
REPEATS = 10  # events of one type by one user on one video
BUSY = 0.05  # share of all events by one user, in a set of many users
FEWEST_USERS = 100


@dataclass(frozen=True)
class Suspicious:
    """What one check found.

    Attributes:
        text: What is suspicious.
        count: Number of videos or users.
        examples: Ids of some of them.
    """

    text: str
    count: int
    examples: list[str]


def suspicious_rows(
    items: pl.DataFrame, events: pl.DataFrame, counters: pl.DataFrame, windows: pl.DataFrame
) -> list[Suspicious]:
    """Return what is suspicious; checks that find nothing are left out.

    Args:
        items: Items with their facts (`assets.ingest.videos.known_items`).
        events: All events.
        counters: All counters.
        windows: The table `popularity`.

    Example:
        >>> items = pl.DataFrame(
        ...     {"item": ["1"], "title": ["a"], "sha256": ["x"], "duration": [12.0], "published_at": [0]}
        ... )
        >>> events = pl.DataFrame(schema={"item": pl.String, "user": pl.String, "type": pl.String})
        >>> rows = [("1", "views", 0, 3), ("1", "likes", 0, 5)]
        >>> counters = pl.DataFrame(rows, schema=["item", "metric", "time", "value"], orient="row")
        >>> windows = pl.DataFrame({"item": ["1"], "t0_source": ["published"]})
        >>> [found.text for found in suspicious_rows(items, events, counters, windows)]
        ['more likes than views']
    """
    checks = [*_counters(counters), *_files(items), *_early(items, windows), *_users(events)]
    return [Suspicious(text, len(names), names[:EXAMPLES]) for text, names in checks if names]


def _counters(counters: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    keys = ["item", "time"]
    views = counters.filter(pl.col("metric").is_in(VIEWS)).select(*keys, pl.col("value").alias("views"))
    others = counters.filter(~pl.col("metric").is_in(VIEWS))
    more = others.join(views, on=keys, nulls_equal=True).filter(pl.col("value") > pl.col("views"))
    for (metric,), own in more.group_by("metric", maintain_order=True):
        yield f"more {metric} than views", own["item"].unique(maintain_order=True).to_list()
    falls = counters.filter(pl.col("time").is_not_null()).with_columns(
        pl.col("value").diff().over("item", "metric", order_by="time").alias("step")
    )
    for (metric,), own in falls.filter(pl.col("step") < 0).group_by("metric", maintain_order=True):
        yield f"{metric} that become fewer", own["item"].unique(maintain_order=True).to_list()


def _files(items: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    same = items.filter(pl.col("sha256").is_not_null(), pl.col("sha256").is_duplicated())
    yield "file with the same bytes as another one", same["item"].to_list()
    titled = items.filter(pl.col("title").str.strip_chars().str.len_chars() > 0, pl.col("title").is_duplicated())
    yield "title of another video", titled["item"].to_list()
    yield f"longer than {LONGEST / 60:g} minutes", items.filter(pl.col("duration") > LONGEST)["item"].to_list()
    yield "duration of 0", items.filter(pl.col("duration") <= 0)["item"].to_list()


def _early(items: pl.DataFrame, windows: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    published = items.filter(pl.col("published_at").is_not_null())
    early = windows.filter(t0_source="first event").join(published, on="item", how="semi")
    yield "event before the publication", early["item"].to_list()


def _users(events: pl.DataFrame) -> Iterator[tuple[str, list[str]]]:
    named = events.filter(pl.col("user").is_not_null())
    repeats = named.group_by("item", "user", "type", maintain_order=True).len().filter(pl.col("len") > REPEATS)
    yield f"more than {REPEATS} events of one type by one user", repeats["item"].unique(maintain_order=True).to_list()
    users = named.group_by("user", maintain_order=True).len()
    if len(users) >= FEWEST_USERS:
        busy = users.filter(pl.col("len") > BUSY * len(named))
        yield f"user with more than {100 * BUSY:.0f} % of all events", busy["user"].to_list()
