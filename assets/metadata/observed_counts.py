"""Feedback that was counted by the age of a window: events by type, and snapshots of counters."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from assets.protocol.observation import HOUR_MS, observed
from assets.settings import Protocol

WITHOUT_LIMIT, NOTHING = float("inf"), -1.0  # hours


def windows_at(items: Sequence[str], ages: Sequence[float | None], popularity: pl.DataFrame) -> pl.DataFrame:
    """Return some windows as the other functions take them.

    Args:
        items: (n,) ids; an item may have several windows.
        ages: (n,) hours since t = 0; None for an item's own window. An older age than that of the own window means the own
            window.
        popularity: `item`, `t0`, `observed_until` (ms or null).

    Returns:
        n rows: `row`, `item`, `age_hours`, and `cut`, the hours up to which feedback counts. In an own window `observed` has
        already cut the feedback. At age 0 nothing is seen, not even an event at t = 0.
    """
    # NumPy rounds the quotient as `observed` and `Sequences` do.
    own = pl.Series("own", (popularity["observed_until"] - popularity["t0"]).fill_null(0).to_numpy() / HOUR_MS)
    return (
        pl.DataFrame({"item": items, "age": ages}, schema={"item": pl.String, "age": pl.Float64})
        .with_row_index("row")
        .join(popularity.select("item").with_columns(own), on="item", how="left", maintain_order="left")
        .select(
            "row",
            "item",
            pl.min_horizontal("age", "own").alias("age_hours"),
            pl.when(pl.col("age") == 0).then(NOTHING).otherwise(pl.col("age").fill_null(WITHOUT_LIMIT)).alias("cut"),
        )
    )


def event_columns(
    windows: pl.DataFrame, events: pl.DataFrame, popularity: pl.DataFrame, protocol: Protocol, types: Sequence[str]
) -> pl.DataFrame:
    """Return what each window holds of the events.

    Args:
        windows: From `windows_at`.
        events: All events: `item`, `user`, `type`, `time` (ms), `order`.
        popularity: `item`, `t0`, `observed_until` (ms).
        protocol: Section `[protocol]` of the settings.
        types: Types that have columns of their own.

    Returns:
        One row per window, in their order: `events`, `events_log2` (log2(1 + events)), `events_per_hour`,
        `events_first_hour`, `users` (distinct, of the events with a user), `hours_since_event`; and with several types
        `events TYPE`, `events_log2 TYPE` and `events_per_hour TYPE` for each. Unknown values are null.
    """
    seen = _observed(windows, events, popularity, protocol)
    named = {f" {kind}": kind for kind in types} if len(types) > 1 else {}
    new_user = pl.col("user").is_not_null() & pl.struct("item", "user").is_first_distinct()
    running = seen.sort("item", "order").select(
        "item",
        "hours",
        pl.int_range(1, pl.len() + 1).over("item").alias("events"),
        (pl.col("hours") <= 1.0).cum_sum().over("item").alias("events_first_hour"),
        new_user.cum_sum().over("item").alias("users"),
        pl.col("hours").alias("last"),
        *((pl.col("type") == kind).cum_sum().over("item").alias(f"events{name}") for name, kind in named.items()),
    )
    held = _latest(windows, running)
    counts = ("events", "events_first_hour", "users", *(f"events{name}" for name in named))
    held = held.with_columns(pl.col(name).fill_null(0).cast(pl.Float64) for name in counts)
    per_hour = pl.when(pl.col("age_hours") > 0).then(pl.col("age_hours"))
    derived = []
    for name in ("", *named):
        count = pl.col(f"events{name}")
        derived += [(count + 1).log(2).alias(f"events_log2{name}"), (count / per_hour).alias(f"events_per_hour{name}")]
    since = (pl.col("age_hours") - pl.col("last")).alias("hours_since_event")
    return held.select(*counts, since, *derived)


def event_counts(
    windows: pl.DataFrame, events: pl.DataFrame, popularity: pl.DataFrame, protocol: Protocol
) -> pl.Series:
    """Return the column `events` of `event_columns` alone, which takes a fraction of the time.

    Args:
        windows: From `windows_at`.
        events: The events that count: `item`, `time` (ms), `order`.
        popularity: `item`, `t0`, `observed_until` (ms).
        protocol: Section `[protocol]` of the settings.
    """
    seen = _observed(windows, events.select("item", "time", "order"), popularity, protocol)
    running = seen.sort("item", "order").select(
        "item", "hours", pl.int_range(1, pl.len() + 1).over("item").alias("events")
    )
    return _latest(windows, running)["events"].fill_null(0).cast(pl.Float64)


def counter_columns(
    windows: pl.DataFrame,
    counters: pl.DataFrame,
    popularity: pl.DataFrame,
    protocol: Protocol,
    metrics: Sequence[str],
) -> pl.DataFrame:
    """Return what each window holds of the counters. A count without a time is never part of a window.

    Args:
        windows: From `windows_at`.
        counters: `item`, `metric`, `time` (ms or null), `value`.
        popularity: `item`, `t0`, `observed_until` (ms).
        protocol: Section `[protocol]` of the settings.
        metrics: Metrics that have columns.

    Returns:
        One row per window, in their order, and per metric: `counter METRIC`, its last value; `counter_log2 METRIC`
        (log2(1 + value)); `counter_hours_since METRIC`, the age of that value; `counter_per_hour METRIC`, the rate between the
        last two snapshots; and `counter_snapshots METRIC`, their number. Unknown values are null.
    """
    seen = observed_snapshots(counters, popularity, protocol)
    parts = []
    for metric in metrics:
        rise, hours = (pl.col(name).diff().over("item") for name in ("value", "hours"))
        running = seen.filter(pl.col("metric") == metric).select(
            "item",
            "hours",
            pl.col("value").alias(f"counter {metric}"),
            (pl.col("value") + 1).log(2).alias(f"counter_log2 {metric}"),
            pl.col("hours").alias("last"),
            pl.when(hours > 0).then(rise / hours).alias(f"counter_per_hour {metric}"),
            pl.int_range(1, pl.len() + 1).over("item").alias(f"counter_snapshots {metric}"),
        )
        held = _latest(windows, running).with_columns(
            (pl.col("age_hours") - pl.col("last")).alias(f"counter_hours_since {metric}"),
            pl.col(f"counter_snapshots {metric}").fill_null(0),
        )
        measures = ("counter", "counter_log2", "counter_hours_since", "counter_per_hour", "counter_snapshots")
        parts.append(held.select(pl.col(f"{measure} {metric}").cast(pl.Float64) for measure in measures))
    return pl.DataFrame([column for part in parts for column in part.get_columns()])


def observed_snapshots(counters: pl.DataFrame, popularity: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """Return the snapshots inside the items' own windows, by item and time, with `hours` since t = 0.

    Args:
        counters: `item`, `metric`, `time` (ms or null), `value`.
        popularity: `item`, `t0`, `observed_until` (ms).
        protocol: Section `[protocol]` of the settings. A forecast at publication sees nothing.
    """
    inside = pl.col("time").is_between("t0", "observed_until") & (not protocol.forecasts_at_publication)
    joined = counters.join(popularity.select("item", "t0", "observed_until"), on="item").filter(inside)
    hours = (joined["time"] - joined["t0"]).to_numpy() / HOUR_MS  # rounded as in `observed`
    return joined.with_columns(pl.Series("hours", hours)).sort("item", "time").drop("t0", "observed_until")


def _observed(
    windows: pl.DataFrame, events: pl.DataFrame, popularity: pl.DataFrame, protocol: Protocol
) -> pl.DataFrame:
    return observed(events.filter(pl.col("item").is_in(windows["item"].unique().implode())), popularity, protocol)


def _latest(windows: pl.DataFrame, running: pl.DataFrame) -> pl.DataFrame:
    """Return the windows, in their order, with the last row of `running` up to each window's cut."""
    joined = windows.sort("cut").join_asof(
        running.sort("hours", maintain_order=True),
        left_on="cut",
        right_on="hours",
        by="item",
        check_sortedness=False,  # both sides are sorted by hours
    )
    return joined.sort("row")
