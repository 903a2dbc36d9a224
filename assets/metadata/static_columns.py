"""The columns of a video that are known when it is published: one entry per column, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

HASHTAG = r"\B[#＃]\w*\p{L}\w*"
MENTION = r"\B[@＠]\w[\w.]*"
TYPES = {"number": pl.Float64, "category": pl.String, "path": pl.List(pl.String), "tags": pl.List(pl.String)}


@dataclass(frozen=True)
class StaticColumn:
    """A column of the stage `metadata_features`.

    Attributes:
        kind: `number`; `category`, one text; `path`, categories from the coarsest to the finest; `tags`, any number of
            texts.
        value: Expression over the facts of a video (see `FACTS`); null where it is unknown.
    """

    kind: Literal["number", "category", "path", "tags"]
    value: pl.Expr


FACTS = pl.Schema(
    {
        "item": pl.String,
        "t0": pl.Int64,
        "author": pl.String,
        "title": pl.String,
        "category": pl.String,
        "description": pl.String,
        "hashtags": pl.String,
        "language": pl.String,
        "duration": pl.Float64,
        "width": pl.Float64,
        "height": pl.Float64,
        "fps": pl.Float64,
        "has_audio": pl.Boolean,
    }
)


def static_columns(time_zone: str) -> dict[str, StaticColumn]:
    """Return the columns that every data set has, by name. To add one, add its entry here and its line in docs/metadata.md.

    Args:
        time_zone: Time zone of hour and weekday, a name of the time zone database.

    Example:
        >>> facts = pl.DataFrame({"item": ["a"], "t0": [0], "title": ["Look #Fun @me"]}).cast({"t0": pl.Int64})
        >>> columns = static_columns("Asia/Tokyo")
        >>> facts.select(columns["hour"].value.alias("hour"), columns["title_words"].value.alias("words")).row(0)
        (9, 3)
    """
    published = pl.from_epoch("t0", time_unit="ms").dt.replace_time_zone("UTC").dt.convert_time_zone(time_zone)
    title = pl.col("title").str.strip_chars()
    words = pl.concat_str(pl.col("title", "description").fill_null(""), separator="\n")
    has_words = pl.any_horizontal(pl.col("title", "description", "hashtags").is_not_null())
    given_tags = pl.col("hashtags").fill_null("").str.extract_all(r"\w+")
    hashtags = (
        pl.concat_list(words.str.extract_all(HASHTAG), given_tags)
        .list.eval(pl.element().str.strip_chars_start("#＃").str.to_lowercase())
        .list.unique(maintain_order=True)
    )
    levels = pl.col("category").str.split("/").list.eval(pl.element().str.strip_chars()).list
    orientation = (
        pl.when(pl.col("width") > pl.col("height"))
        .then(pl.lit("landscape"))
        .when(pl.col("width") < pl.col("height"))
        .then(pl.lit("portrait"))
        .when(pl.col("width") == pl.col("height"))
        .then(pl.lit("square"))
    )
    return {
        "hour": StaticColumn("number", published.dt.hour()),
        "weekday": StaticColumn("number", published.dt.weekday() - 1),
        "duration": StaticColumn("number", pl.col("duration")),
        "width": StaticColumn("number", pl.col("width")),
        "height": StaticColumn("number", pl.col("height")),
        "fps": StaticColumn("number", pl.col("fps")),
        "has_sound": StaticColumn("number", pl.col("has_audio")),
        "orientation": StaticColumn("category", orientation),
        "title_length": StaticColumn("number", title.str.len_chars()),
        "title_words": StaticColumn("number", title.str.count_matches(r"\w+")),
        "hashtag_count": StaticColumn("number", pl.when(has_words).then(hashtags.list.len())),
        "mention_count": StaticColumn("number", pl.when(has_words).then(words.str.count_matches(MENTION))),
        "hashtags": StaticColumn("tags", pl.when(has_words).then(hashtags)),
        "language": StaticColumn("category", pl.col("language")),
        "category": StaticColumn("path", levels.eval(pl.element().filter(pl.element() != ""))),
        "author": StaticColumn("category", pl.col("author")),
    }
