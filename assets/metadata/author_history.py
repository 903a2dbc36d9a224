"""Each author's earlier videos, and those of their labels that were known when a video was published."""

import math
from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.videos import VIDEOS, known_items
from assets.metadata.later_author_statistics import later_author_statistics
from assets.protocol.labels import NAME as LABELS
from assets.protocol.labels import observable_at, read_labels, target_names
from assets.protocol.observation import HOUR_MS
from assets.protocol.popularity import popularity, read_popularity
from assets.protocol.splits import items_of, read_splits, splits
from assets.settings import Settings
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "author_history"
CODE = 2  # raise it when the same inputs give another result
DAY_MS = 24 * HOUR_MS
VERIFIED = 1000  # videos per author that the check recomputes


@dg.asset(
    group_name="metadata",
    kinds={"parquet"},
    deps=[VIDEOS.asset, popularity, splits],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [*stage_marks(store, "videos"), *table_marks(store, "popularity", LABELS, "splits")],
    makes=lambda store, settings: table_marks(store, NAME),
)
def author_history(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Compute every video's history. In the random split, labels of validation and test items count for nothing."""
    store = open_store(settings)
    targets = target_names(store)
    videos, labels, parameters = published_by(store), read_labels(store), {"split": settings.protocol.split}
    if settings.audit.fault == "later_author_statistics":
        parameters["fault"] = settings.audit.fault
        frame = later_author_statistics(videos, labels, targets)
    else:
        counted = labels_that_count(labels, videos, read_splits(store), settings.protocol.split)
        frame = histories(videos, counted, targets)
    keep_table(context, store, NAME, frame, Fingerprint(code=CODE, parameters=parameters))
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            "items": len(frame),
            "with_earlier_items": len(frame.filter(pl.col("history_items") > 0)),
            **{f"with_known {target}": int((frame[f"history_known {target}"] > 0).sum()) for target in targets},
        },
    )


def published_by(store: Store) -> pl.DataFrame:
    """Return `item`, `author` and `t0` (ms) of every video without a failed row; author and t0 may be null."""
    clocks = read_popularity(store).select("item", "t0")
    return known_items(store).select("item", "author").join(clocks, on="item", how="left", maintain_order="left")


def labels_that_count(labels: pl.DataFrame, videos: pl.DataFrame, sides: pl.DataFrame, split: str) -> pl.DataFrame:
    """Return the labels that may be part of a history, each with the time from which it may be.

    In the random split, validation and test items are published between the training items, and their labels are held out:
    only labels of training items count. In the chronological split, every label with a time counts from then on, as it
    would for a forecaster at work. A final count without a time counts from its item's publication on
    (`assets.protocol.labels.observable_at`), and only if a predictor is trained on it anyway.

    Args:
        labels: The table `labels`.
        videos: `item`, `t0` (ms). The labels of other items count for nothing.
        sides: The table `splits`.
        split: `protocol.split`.

    Returns:
        `item`, `target`, `observable_at` (ms), `value`.
    """
    known = labels.drop_nulls("value").join(videos.select("item", "t0"), on="item").with_columns(observable_at())
    counts = pl.col("item").is_in(items_of(sides, "train"))
    if split == "chronological":
        counts |= pl.col("label_time").is_not_null()
    return known.filter(counts).drop_nulls("observable_at").select("item", "target", "observable_at", "value")


def histories(videos: pl.DataFrame, labels: pl.DataFrame, targets: Sequence[str]) -> pl.DataFrame:
    """Return the history of each video's author at the video's t = 0.

    Args:
        videos: `item`, `author`, `t0` (ms), one row per item. Without author or t0 the history is unknown.
        labels: `item`, `target`, `observable_at` (ms), `value`; see `labels_that_count`.
        targets: Names of the targets, in the order of the columns.

    Returns:
        One row per item, in the order of `videos`: `item`; `history_items`, the author's videos with an earlier t = 0;
        `history_days_since`, days since the latest of them; and per target `history_known TARGET`, the number of the author's
        labels that were observable before t = 0, and of these labels `history_mean`, `history_last` (known last; of equal
        times the video published last) and `history_max`.

    Example:
        >>> videos = pl.DataFrame({"item": ["a", "b"], "author": ["x", "x"], "t0": [0, 5 * 86_400_000]})
        >>> labels = pl.DataFrame({"item": ["a"], "target": ["like@1d"], "observable_at": [86_400_000], "value": [3.0]})
        >>> histories(videos, labels, ["like@1d"]).row(1)
        ('b', 1.0, 5.0, 1.0, 3.0, 3.0, 3.0)
    """
    known = videos.filter(pl.col("author").is_not_null() & pl.col("t0").is_not_null()).select("item", "author", "t0")
    times = known.select("author", "t0").unique().sort("author", "t0")
    before = times.with_columns(pl.col("t0").shift(1).over("author").alias("previous"))
    earlier = known.with_columns((pl.col("t0").rank("min").over("author") - 1).cast(pl.Float64).alias("history_items"))
    earlier = earlier.join(before, on=["author", "t0"], how="left").with_columns(
        ((pl.col("t0") - pl.col("previous")) / DAY_MS).alias("history_days_since")
    )
    frame = earlier.drop("previous").sort("t0")
    of_author = labels.join(known, on="item").sort("observable_at", "t0", "item")
    for target in targets:
        value = pl.col("value")
        running = of_author.filter(pl.col("target") == target).select(
            "author",
            "observable_at",
            pl.int_range(1, pl.len() + 1).over("author").cast(pl.Float64).alias(f"history_known {target}"),
            (value.cum_sum() / pl.int_range(1, pl.len() + 1)).over("author").alias(f"history_mean {target}"),
            value.alias(f"history_last {target}"),
            value.cum_max().over("author").alias(f"history_max {target}"),
        )
        frame = frame.join_asof(
            running,
            left_on="t0",
            right_on="observable_at",
            by="author",
            allow_exact_matches=False,
            check_sortedness=False,  # both sides are sorted by time
        ).drop("observable_at")
        frame = frame.with_columns(pl.col(f"history_known {target}").fill_null(0.0))
    return videos.select("item").join(frame.drop("author", "t0"), on="item", how="left", maintain_order="left")


def read_author_history(store: Store) -> pl.DataFrame:
    """Return the stored histories; see `histories`."""
    return store.table(NAME).read()


@dg.asset_check(asset=author_history, blocking=True)
@verdict_stands(
    "author_history_was_known_at_publication",
    reads=lambda store, settings: [
        *stage_marks(store, "videos"),
        *table_marks(store, NAME, "popularity", LABELS, "splits"),
    ],
)
def author_history_was_known_at_publication(settings: Settings) -> dg.AssetCheckResult:
    """Every history counts earlier videos, and labels that were known at t = 0 and are not held out (docs/metadata.md)."""
    store = open_store(settings)
    split = settings.protocol.split
    return check_histories(
        read_author_history(store), published_by(store), read_labels(store), read_splits(store), split
    )


def check_histories(
    frame: pl.DataFrame, videos: pl.DataFrame, labels: pl.DataFrame, sides: pl.DataFrame, split: str
) -> dg.AssetCheckResult:
    """Compute histories again, video by video from the author's labels, and compare them with the stored ones.

    Args:
        frame: The table `author_history`.
        videos: `item`, `author`, `t0`.
        labels: The table `labels`.
        sides: The table `splits`.
        split: `protocol.split`.

    Returns:
        The check's result. At most `VERIFIED` videos per author are compared, evenly spread over time.
    """
    fitted = pl.col("item").is_in(items_of(sides, "train"))
    timed = pl.col("label_time").is_not_null()
    counted = labels.filter(fitted | timed if split == "chronological" else fitted)
    known = videos.filter(pl.col("author").is_not_null() & pl.col("t0").is_not_null())
    of_author: dict[tuple[str, str], list[np.ndarray]] = {}
    since = pl.when(timed).then("label_time").otherwise("t0").alias("since")
    ordered = counted.drop_nulls("value").join(known, on="item").with_columns(since).sort("since", "t0", "item")
    for author, target, times, values in ordered.group_by("author", "target").agg("since", "value").iter_rows():
        of_author[author, target] = [np.array(times), np.array(values)]
    targets = labels["target"].unique().to_list()
    wrong = []
    for (author,), own in known.join(frame, on="item").sort("t0").group_by("author"):
        published = own["t0"].to_numpy()
        for row in np.unique(np.linspace(0, len(own) - 1, min(len(own), VERIFIED)).astype(int)).tolist():
            stored = own.row(row, named=True)
            expected = {"history_items": float((published < published[row]).sum())}
            for target in targets:
                times, values = of_author.get((author, target), (np.empty(0), np.empty(0)))
                expected |= _summary(target, values[times < published[row]])
            if not all(_same(stored.get(name), value) for name, value in expected.items()):
                wrong.append(stored["item"])
    return dg.AssetCheckResult(
        passed=not wrong,
        metadata={"items": len(known), "wrong": len(wrong), "first": dg.MetadataValue.json(sorted(wrong)[:10])},
    )


def _summary(target: str, values: np.ndarray) -> dict[str, float | None]:
    """Return the columns of one target for the values of the known labels, in the order in which they became known."""
    if not len(values):
        return {f"history_known {target}": 0.0, f"history_mean {target}": None}
    summary = {"known": len(values), "mean": values.mean(), "last": values[-1], "max": values.max()}
    return {f"history_{name} {target}": float(value) for name, value in summary.items()}


def _same(stored: float | None, expected: float | None) -> bool:
    if stored is None or expected is None:
        return stored == expected
    return math.isclose(stored, expected, rel_tol=1e-9, abs_tol=1e-9)
