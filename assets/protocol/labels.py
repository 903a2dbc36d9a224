"""The label of every item for every target, from events or counters (docs/protocol.md, "Targets and labels")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.protocol.target import MeasuredTarget, ProtocolError
from models import targets as scales
from storage.store import Store

NAME = "labels"
SCHEMA = pl.Schema(
    {
        "item": pl.String,
        "target": pl.String,
        "label_time": pl.Int64,
        "count": pl.Float64,
        "value": pl.Float64,
        "source": pl.String,
        "known": pl.Boolean,
    }
)


def measure_labels(
    clocks: pl.DataFrame,
    events: pl.DataFrame,
    counters: pl.DataFrame,
    targets: Sequence[MeasuredTarget],
    *,
    as_of: int | None,
    scale: scales.Transform,
) -> pl.DataFrame:
    """Return one row per item and target, in the order of `clocks`, then of the targets.

    Args:
        clocks: `item`; `t0` and `window_end` (ms, null if unknown); `window_closed`, whether the window ended by `as_of`;
            `has_clock`, False for an item of which no moment is known.
        events: `item`, `type`, `time` (ms).
        counters: `item`, `metric`, `time` (ms; null for a final count), `value`.
        targets: What is forecast.
        as_of: End of the data (ms).
        scale: Scale of `value`.

    Returns:
        The table `labels`:

        - `item`, `target`: the target's name.
        - `label_time`: ms at which the label is known; null for a final count without a time.
        - `count`, `value`: the label as a count and on the scale; null unless known.
        - `source`: `events`, `counter` (a snapshot), or `interpolated` (between two snapshots); null unless known.
        - `known`: whether the label is known and lies after the window.

    Raises:
        ProtocolError: `scale` is `log2` and a count is 0.
    """
    place = pl.int_range(pl.len(), dtype=pl.Int64).alias("place")
    parts = [
        (_counted if target.source == "events" else _read)(clocks, events, counters, target, as_of)
        .select("item", pl.lit(target.name).alias("target"), "label_time", "count", "source", "known")
        .with_columns(place)
        for target in targets
    ]
    frame = pl.concat(parts).sort("place", maintain_order=True)
    frame = frame.with_columns(pl.when("known").then(name).alias(name) for name in ("count", "source"))
    if scale == "log2" and (zero := frame.filter(pl.col("count") < 1)).height:
        item, target = zero.row(0)[:2]
        raise ProtocolError(
            f"protocol.target = 'log2', but item {item} has a count of 0 ({target}): allowed are log2p1 and raw"
        )
    known, value = frame["known"].to_numpy(), np.full(len(frame), np.nan)
    value[known] = scales.forward(frame["count"].to_numpy()[known], scale)
    return frame.with_columns(pl.Series("value", value).fill_nan(None)).select(SCHEMA.names()).cast(SCHEMA)


def _counted(
    clocks: pl.DataFrame, events: pl.DataFrame, _: pl.DataFrame, target: MeasuredTarget, as_of: int | None
) -> pl.DataFrame:
    """Count events up to the horizon; an item without any has the count 0."""
    frame = clocks.with_columns(target.horizon_end(as_of).alias("label_time"))
    until = events.join(frame.select("item", "label_time"), on="item").filter(
        target.counts() & (pl.col("time") <= pl.col("label_time"))
    )
    return frame.join(until.group_by("item").len("count"), on="item", how="left", maintain_order="left").with_columns(
        pl.col("count").fill_null(0).cast(pl.Float64),
        pl.lit("events").alias("source"),
        ((pl.col("window_end") <= pl.col("label_time")) & (pl.col("label_time") <= pl.lit(as_of, pl.Int64)))
        .fill_null(False)
        .alias("known"),
    )


def _read(
    clocks: pl.DataFrame, _: pl.DataFrame, counters: pl.DataFrame, target: MeasuredTarget, as_of: int | None
) -> pl.DataFrame:
    """Read a counter at the horizon, or at its end."""
    own = counters.filter(pl.col("metric") == target.metric)
    timed = own.filter(pl.col("time") <= pl.lit(as_of, pl.Int64)).select("item", "time", "value").sort("time")
    if target.hours is None:
        return _at_the_end(clocks, timed, own.filter(pl.col("time").is_null()))
    return _at_the_horizon(clocks.with_columns(target.horizon_end(as_of).alias("horizon")), timed)


def _at_the_horizon(clocks: pl.DataFrame, timed: pl.DataFrame) -> pl.DataFrame:
    """Interpolate linearly in time between the last snapshot before the horizon and the first one after it; no extrapolation.

    A snapshot exactly at the horizon is the label itself. An interpolated count is rounded to the nearest whole number, halves
    up. It is known when the later snapshot was taken.
    """
    frame = clocks.select("item", "window_end", "horizon").with_row_index("row").sort("horizon", nulls_last=True)
    snapshots = timed.with_columns(pl.col("time").alias("at"))
    for side, strategy in (("before", "backward"), ("after", "forward")):
        frame = frame.join_asof(
            snapshots.rename({"time": f"{side}_time", "value": f"{side}_value"}),
            left_on="horizon",
            right_on="at",
            by="item",
            strategy=strategy,
            check_sortedness=False,
        ).drop("at", strict=False)
    span = pl.col("after_time") - pl.col("before_time")
    passed = (pl.col("horizon") - pl.col("before_time")) / span
    between = pl.col("before_value") + (pl.col("after_value") - pl.col("before_value")) * passed
    return (
        frame.sort("row")
        .with_columns((pl.col("before_time") == pl.col("horizon")).alias("exact"))
        .with_columns(
            pl.when("exact").then("before_value").otherwise((between + 0.5).floor()).cast(pl.Float64).alias("count"),
            pl.when("exact").then(pl.lit("counter")).otherwise(pl.lit("interpolated")).alias("source"),
            pl.when("exact").then("horizon").otherwise(pl.coalesce("after_time", "horizon")).alias("label_time"),
        )
        .with_columns(
            (pl.col("count").is_not_null() & (pl.col("window_end") <= pl.col("horizon")))
            .fill_null(False)
            .alias("known")
        )
    )


def _at_the_end(clocks: pl.DataFrame, timed: pl.DataFrame, final: pl.DataFrame) -> pl.DataFrame:
    """Take the final count without a time, else the last snapshot."""
    last = timed.group_by("item", maintain_order=True).last().rename({"time": "label_time", "value": "last"})
    final = final.group_by("item").agg(pl.col("value").max().alias("final"))
    frame = clocks.join(last, on="item", how="left", maintain_order="left")
    frame = frame.join(final, on="item", how="left", maintain_order="left")
    has_final = pl.col("final").is_not_null()
    return frame.with_columns(
        pl.coalesce("final", "last").cast(pl.Float64).alias("count"),
        pl.lit("counter").alias("source"),
        pl.when(~has_final).then("label_time").alias("label_time"),
        pl.when(has_final)
        .then(pl.col("window_closed") | ~pl.col("has_clock"))
        .otherwise(pl.col("window_end") <= pl.col("label_time"))
        .fill_null(False)
        .alias("known"),
    )


def observable_at() -> pl.Expr:
    """Return from which ms a label may be used by items published then or later, from columns `label_time` and `t0`.

    It is unknown when a final count without a time was known. It counts as known from its item's publication: for the
    chronological split, for neighbours and for authors' histories (docs/protocol.md, "Final counts without a time").
    """
    return pl.coalesce("label_time", "t0").alias("observable_at")


def read_labels(store: Store) -> pl.DataFrame:
    """Return the label of every item and target; see `measure_labels`."""
    return store.table(NAME).read()


def target_names(store: Store) -> list[str]:
    """Return the names of the targets, the primary first."""
    return names_of(read_labels(store))


def label_matrix(store: Store, items: Sequence[str]) -> np.ndarray:
    """Return the labels of `items` on the scale of the target, (n, T) float64 with NaN where unknown.

    Args:
        store: The store.
        items: n ids; an item without a row has unknown labels.
    """
    return matrix(read_labels(store), items, "value")


def matrix(labels: pl.DataFrame, items: Sequence[str], column: str) -> np.ndarray:
    """Return a column of the table `labels` by item and target, (n, T) float64 with NaN where null.

    Args:
        labels: The table `labels`.
        items: n ids; an item without a row has NaN.
        column: The name of a column of numbers.
    """
    rows = pl.DataFrame({"item": list(items)}, schema={"item": pl.String})
    parts = [
        rows.join(labels.filter(pl.col("target") == name), on="item", how="left", maintain_order="left")[column]
        for name in names_of(labels)
    ]
    return np.column_stack([part.cast(pl.Float64).to_numpy() for part in parts])


def names_of(labels: pl.DataFrame) -> list[str]:
    """Return the names of the targets in the table `labels`, the primary first."""
    return labels["target"].unique(maintain_order=True).to_list()
