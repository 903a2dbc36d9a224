"""The check that recounts every label from the raw events and counters (docs/protocol.md, rule Label)."""

from __future__ import annotations

import dagster as dg
import polars as pl

from assets.protocol.target import HOUR_MS, MeasuredTarget, end_of_data, measured_targets
from assets.settings import Protocol
from models import targets as scales


def check_labels(
    frame: pl.DataFrame,
    labels: pl.DataFrame,
    events: pl.DataFrame,
    counters: pl.DataFrame,
    protocol: Protocol,
    *,
    as_of: int | None = None,
) -> dg.AssetCheckResult:
    """Recount every label from the raw data, and check window, horizon and end of the data.

    Args:
        frame: The table `popularity`.
        labels: The table `labels`.
        events: All events: `item`, `type`, `time` (ms).
        counters: All counters: `item`, `metric`, `time` (ms; null for a final count), `value`.
        protocol: Section `[protocol]` of the settings.
        as_of: End of the data (ms). Default: the last event or snapshot.

    Returns:
        The check's result. Its metadata lists up to ten items per problem.
    """
    if as_of is None:
        as_of = end_of_data(events, counters)
    targets = measured_targets(protocol, events, counters)
    if protocol.first_k is None:
        too_long = pl.col("observed_until") - pl.col("t0") > round(protocol.hours * HOUR_MS)
    else:
        too_long = pl.col("observed_events") > protocol.first_k
    recount = pl.concat(_recounted(frame, labels, events, counters, target, as_of) for target in targets)
    value = scales.forward(recount["count"].fill_null(1), protocol.target)
    problems = {
        "label not yet known": recount.filter(pl.col("label_time") > pl.lit(as_of, pl.Int64)),
        "window longer than allowed": frame.filter(too_long),
        "window longer than the horizon": recount.filter(pl.col("observed_until") > pl.col("due")),
        "label given where none is known": labels.filter(~pl.col("known") & pl.col("count").is_not_null()),
        "count differs from the data": recount.filter(
            # an interpolated count is rounded
            ((pl.col("count") - pl.col("recount")).abs() > pl.when("between").then(0.5 + 1e-6).otherwise(0)).fill_null(
                True
            )
        ),
        "known at another time": recount.filter(pl.col("label_time").ne_missing(pl.col("known_at"))),
        "value differs from the count": recount.filter(pl.Series(recount["value"].to_numpy() != value)),
        "window or label differs from the table labels": _differing(frame, labels, targets[0]),
    }
    violations = {
        name: rows["item"].unique(maintain_order=True).head(10).to_list()
        for name, rows in problems.items()
        if len(rows)
    }
    return dg.AssetCheckResult(
        passed=not violations, metadata={"labels": len(recount), "problems": dg.MetadataValue.json(violations)}
    )


def _differing(frame: pl.DataFrame, labels: pl.DataFrame, primary: MeasuredTarget) -> pl.DataFrame:
    """Return the items of the table `popularity` that disagree with the table `labels`."""
    own = labels.filter(pl.col("target") == primary.name).select("item", pl.col("count", "value").name.prefix("own_"))
    of_item = labels.group_by("item").agg(
        pl.col("known").any(), pl.col("label_time").filter("known").max().alias("known_at")
    )
    joined = frame.join(own, on="item", how="left").join(of_item, on="item", how="left")
    return joined.filter(
        pl.col("count").ne_missing(pl.col("own_count"))
        | pl.col("target").ne_missing(pl.col("own_value"))
        | pl.col("labelled").ne_missing(pl.col("known"))
        | (pl.col("labelled") & pl.col("label_time").ne_missing(pl.col("known_at")))
    )


def _recounted(
    frame: pl.DataFrame,
    labels: pl.DataFrame,
    events: pl.DataFrame,
    counters: pl.DataFrame,
    target: MeasuredTarget,
    as_of: int | None,
) -> pl.DataFrame:
    """Return a target's known labels with `due` (ms of the horizon), `recount`, `between` and `known_at`."""
    known = labels.filter((pl.col("target") == target.name) & pl.col("known"))
    rows = known.join(frame.select("item", "t0", "observed_until"), on="item", how="left", maintain_order="left")
    rows = rows.with_columns(target.horizon_end(as_of).alias("due"))
    if target.source == "events":
        until = events.filter(target.counts()).join(rows.select("item", "due"), on="item")
        counts = until.group_by("item").agg((pl.col("time") <= pl.col("due")).sum().alias("recount"))
        rows = rows.join(counts, on="item", how="left").with_columns(pl.col("recount").fill_null(0), known_at="due")
        rows = rows.with_columns(pl.lit(False).alias("between"))
    else:
        own = counters.filter(pl.col("metric") == target.metric).join(rows.select("item", "due"), on="item")
        rows = (_last_reading if target.hours is None else _readings_around)(rows, own)
    return rows.select(
        *labels.columns, "observed_until", "due", "known_at", "between", pl.col("recount").cast(pl.Float64)
    )


def _last_reading(rows: pl.DataFrame, counters: pl.DataFrame) -> pl.DataFrame:
    timed = counters.filter(pl.col("time") <= pl.col("due"))
    last = timed.group_by("item").agg(
        pl.col("time").max().alias("last_time"), pl.col("value").sort_by("time").last().alias("last")
    )
    final = counters.filter(pl.col("time").is_null()).group_by("item").agg(pl.col("value").max().alias("final"))
    joined = rows.join(last, on="item", how="left").join(final, on="item", how="left")
    known_at = pl.when(pl.col("final").is_null()).then("last_time")
    return joined.with_columns(
        pl.coalesce("final", "last").alias("recount"),
        known_at.alias("known_at"),
        known_at.alias("due"),
        pl.lit(False).alias("between"),
    )


def _readings_around(rows: pl.DataFrame, counters: pl.DataFrame) -> pl.DataFrame:
    value = pl.col("value").sort_by("time")
    earlier, later = counters.filter(pl.col("time") <= pl.col("due")), counters.filter(pl.col("time") >= pl.col("due"))
    before = earlier.group_by("item").agg(pl.col("time").max().alias("time_0"), value.last().alias("value_0"))
    after = later.group_by("item").agg(pl.col("time").min().alias("time_1"), value.first().alias("value_1"))
    slope = (pl.col("value_1") - pl.col("value_0")) / (pl.col("time_1") - pl.col("time_0"))
    return (
        rows.join(before, on="item", how="left")
        .join(after, on="item", how="left")
        .with_columns((pl.col("time_1") > pl.col("due")).alias("between"), pl.col("time_1").alias("known_at"))
        .with_columns(
            pl.when("between")
            .then(pl.col("value_0") + slope * (pl.col("due") - pl.col("time_0")))
            .otherwise("value_0")
            .alias("recount")
        )
    )
