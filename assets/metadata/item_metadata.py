"""Everything static about a video in one frame: its metadata, its author's history, and how long its label is counted."""

import polars as pl

from assets.metadata.author_history import DAY_MS, read_author_history
from assets.metadata.author_statistics import UNDATED
from assets.metadata.metadata_features import read_metadata
from assets.protocol.popularity import read_popularity
from assets.settings import Metadata
from storage.store import Store


def item_metadata(store: Store, settings: Metadata) -> pl.DataFrame:
    """Return one row per video without a failed row.

    Args:
        store: Store with the stage `metadata_features` and the tables `author_history` and `popularity`.
        settings: Section `[metadata]`; `given_statistics` decides about undated statistics.

    Returns:
        `item`; numbers as Float64: those of `metadata_features` and `author_history`, and `label_days`, days from t = 0 to
        the primary label; categories as String, each level of a category path as `NAME_LEVEL` with the levels above it; and
        tags as lists of String.
    """
    span = (pl.col("label_time") - pl.col("t0")) / DAY_MS
    frame = (
        read_metadata(store)
        .join(read_author_history(store), on="item", how="left", maintain_order="left")
        .join(
            read_popularity(store).select("item", span.alias("label_days")),
            on="item",
            how="left",
            maintain_order="left",
        )
    )
    if not settings.given_statistics:
        frame = frame.drop(name for name in frame.columns if name.endswith(UNDATED))
    return _with_levels(frame, "category")


def _with_levels(frame: pl.DataFrame, path: str) -> pl.DataFrame:
    """Replace a column of category paths by a column per level."""
    levels = [
        pl.when(pl.col(path).list.len() >= level)
        .then(pl.col(path).list.head(level).list.join("/"))
        .alias(f"{path}_{level}")
        for level in range(1, (frame[path].list.len().max() or 0) + 1)
    ]
    return frame.with_columns(levels).drop(path)
