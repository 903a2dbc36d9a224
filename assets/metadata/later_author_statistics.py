"""A planted fault for the audit of leaks: an author's statistics as they are at the end of the data, not at publication."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def later_author_statistics(videos: pl.DataFrame, labels: pl.DataFrame, targets: Sequence[str]) -> pl.DataFrame:
    """Return histories that count an author's other videos of any time and any split, as a crawl made afterwards does.

    Args:
        videos: `item`, `author`, `t0` (ms), one row per item.
        labels: `item`, `target`, `label_time` (ms), `value`.
        targets: Names of the targets.

    Returns:
        The columns of `assets.metadata.author_history.histories`. "Last" is the mean here: there is no order of time.

    Example:
        >>> videos = pl.DataFrame({"item": ["a", "b"], "author": ["x", "x"], "t0": [0, 5]})
        >>> labels = pl.DataFrame({"item": ["b"], "target": ["like@1d"], "label_time": [9], "value": [3.0]})
        >>> later_author_statistics(videos, labels, ["like@1d"]).row(0)
        ('a', 1.0, None, 1.0, 3.0, 3.0, 3.0)
    """
    known = videos.filter(pl.col("author").is_not_null() & pl.col("t0").is_not_null()).select("item", "author")
    frame = known.with_columns(
        (pl.len().over("author") - 1).cast(pl.Float64).alias("history_items"),
        pl.lit(None, pl.Float64).alias("history_days_since"),
    )
    pairs = known.join(known.rename({"item": "other"}), on="author").filter(pl.col("item") != pl.col("other"))
    for target in targets:
        own = (
            labels.filter(pl.col("target") == target).drop_nulls("value").select(pl.col("item").alias("other"), "value")
        )
        of_item = (
            pairs.join(own, on="other")
            .group_by("item")
            .agg(
                pl.len().cast(pl.Float64).alias(f"history_known {target}"),
                pl.col("value").mean().alias(f"history_mean {target}"),
                pl.col("value").mean().alias(f"history_last {target}"),
                pl.col("value").max().alias(f"history_max {target}"),
            )
        )
        frame = frame.join(of_item, on="item", how="left", maintain_order="left")
        frame = frame.with_columns(pl.col(f"history_known {target}").fill_null(0.0))
    return videos.select("item").join(frame.drop("author"), on="item", how="left", maintain_order="left")
