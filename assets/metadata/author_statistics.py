"""Given statistics of authors, joined to their videos: dated ones as of the publication, undated ones marked as such."""

import polars as pl

UNDATED = "_undated"


def author_statistics(videos: pl.DataFrame, authors: pl.DataFrame) -> pl.DataFrame:
    """Return the statistics of each video's author.

    A statistic with a date is the latest one before the video's t = 0. A statistic without a date may have been collected
    after the forecast, so its column has the suffix `UNDATED`, and `metadata.given_statistics` switches it off.

    Args:
        videos: `item`, `author`, `t0` (ms), one row per item.
        authors: `author`, `time` (ms or null), and Float64 columns; see `Dataset.authors`. Several rows per author may differ
            in time; of rows with the same time the last one is used.

    Returns:
        `item` and one Float64 column per statistic, `author_NAME` if dated and `author_NAME_undated` if not, in the order of
        `videos`.
    """
    names = [name for name in authors.columns if name not in ("author", "time")]
    joined = videos.select("item", "author", "t0")
    dated = authors.filter(pl.col("time").is_not_null() & pl.col("author").is_not_null())
    if len(dated):
        columns = {name: f"author_{name}" for name in names}
        latest = dated.unique(["author", "time"], keep="last").sort("time").rename(columns)
        timed = joined.filter(pl.col("t0").is_not_null()).sort("t0")
        before = timed.join_asof(
            latest,
            left_on="t0",
            right_on="time",
            by="author",
            allow_exact_matches=False,
            check_sortedness=False,  # both sides are sorted by time
        )
        joined = joined.join(before.select("item", *columns.values()), on="item", how="left", maintain_order="left")
    undated = authors.filter(pl.col("time").is_null() & pl.col("author").is_not_null())
    if len(undated):
        columns = {name: f"author_{name}{UNDATED}" for name in names}
        one_each = undated.unique("author", keep="last").drop("time").rename(columns)
        joined = joined.join(one_each, on="author", how="left", maintain_order="left")
    return joined.drop("author", "t0")
