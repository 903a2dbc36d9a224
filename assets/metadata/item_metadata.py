"""Everything static about a video in one frame: its metadata, its author's history, and how long its label is counted."""

import polars as pl

from assets.audience.recommendation_scores import read_scores
from assets.metadata.author_history import DAY_MS, read_author_history
from assets.metadata.author_statistics import UNDATED
from assets.metadata.metadata_features import read_metadata
from assets.metadata.static_columns import static_columns
from assets.protocol.labels import read_labels, target_names
from assets.protocol.popularity import read_popularity
from assets.settings import Metadata
from assets.settings.target import END
from models.predictors.mufm import RECOMMENDATION_COLUMN
from storage.store import Store


def item_metadata(store: Store, settings: Metadata) -> pl.DataFrame:
    """Return one row per video without a failed row.

    Args:
        store: Store with the stage `metadata_features` and the tables `author_history` and `popularity`.
        settings: Section `[metadata]`; `given_statistics` decides about undated statistics.

    Returns:
        `item`; numbers as Float64: those of `metadata_features` and `author_history`, and `label_days`, days from t = 0 to
        the time of the first target that is counted to the end of the data, if there is one; `recommendation_score`, the mean
        score of SASRec before its sigmoid, if videos are scored; categories as String, each
        level of a category path as `NAME_LEVEL` with the levels above it; and tags as lists of String.
    """
    frame = read_metadata(store).join(read_author_history(store), on="item", how="left", maintain_order="left")
    if (scores := read_scores(store)) is not None:
        named = scores.select("item", pl.col("logit").alias(RECOMMENDATION_COLUMN))
        frame = frame.join(named, on="item", how="left", maintain_order="left")
    if to_the_end := [name for name in target_names(store) if name.endswith(f"@{END}")]:
        frame = frame.join(_label_days(store, to_the_end[0]), on="item", how="left", maintain_order="left")
    return joined_metadata(frame, settings)


def joined_metadata(frame: pl.DataFrame, settings: Metadata) -> pl.DataFrame:
    """Return the columns of `item_metadata` from the joined tables.

    Args:
        frame: Columns of `metadata_features` and `author_history`, and `label_days` if a target is counted to the end.
        settings: Section `[metadata]`.
    """
    if not settings.given_statistics:
        frame = frame.drop(name for name in frame.columns if name.endswith(UNDATED))
    for name, column in static_columns("UTC").items():
        frame = _with_levels(frame, name) if column.kind == "path" else frame
    return frame


def _label_days(store: Store, target: str) -> pl.DataFrame:
    """Return `item` and `label_days`. With a horizon in hours it would be the same for all items."""
    days = ((pl.col("label_time") - pl.col("t0")) / DAY_MS).alias("label_days")
    labels = read_labels(store).filter(pl.col("target") == target)
    return labels.join(read_popularity(store).select("item", "t0"), on="item").select("item", days)


def _with_levels(frame: pl.DataFrame, path: str) -> pl.DataFrame:
    """Replace a column of category paths by a column per level."""
    levels = [
        pl.when(pl.col(path).list.len() >= level)
        .then(pl.col(path).list.head(level).list.join("/"))
        .alias(f"{path}_{level}")
        for level in range(1, (frame[path].list.len().max() or 0) + 1)
    ]
    return frame.with_columns(levels).drop(path)
