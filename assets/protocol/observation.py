"""The observation window and the label of an item: what a model may see and what it forecasts (docs/protocol.md).

Pure functions on polars frames. Every stage that reads feedback calls `observed`, so the window is cut in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from assets.protocol.labels import measure_labels
from assets.protocol.target import ALL, HOUR_MS, MeasuredTarget, end_of_data, measured_targets
from assets.settings import Protocol
from storage.datasets import COUNTERS


@dataclass(frozen=True)
class Labels:
    """Window and labels of every item.

    Attributes:
        frame: One row per item; see `measure_popularity`.
        by_target: One row per item and target; see `assets.protocol.labels.measure_labels`.
        targets: What is forecast, the primary target first.
        as_of: End of the data, unix ms; None if no time is known.
        notes: Remarks for the log, one sentence each.
    """

    frame: pl.DataFrame
    by_target: pl.DataFrame
    targets: list[MeasuredTarget]
    as_of: int | None
    notes: list[str]


def measure_popularity(
    videos: pl.DataFrame,
    events: pl.DataFrame,
    protocol: Protocol,
    *,
    counters: pl.DataFrame | None = None,
    as_of: int | None = None,
) -> Labels:
    """Return the window, labels and label status of every item.

    An event before the stated publication moves t = 0 to itself, because the stated time must then be wrong.

    Args:
        videos: `item`, `published_at` (ms or null), one row per item.
        events: `item`, `type`, `time` (ms), `order` (rank within the item by time, from 0).
        protocol: Section `[protocol]` of the settings.
        counters: `item`, `metric`, `time` (ms; null for a final count), `value`. Default: none.
        as_of: End of the data (ms); later events are unknown. Default: the last event or snapshot, or
            else the last publication.

    Returns:
        The labels. Their `frame` has one row per item, in the order of `videos`:

        - `item`
        - `t0`: ms; null if neither a publication, an event nor a snapshot is known.
        - `t0_source`: `published`, `first event`, `first snapshot` or null.
        - `observed_until`: end of the observed window, ms.
        - `observed_events`: events in the window.
        - `observed_count`: events of the primary target's metric in the window.
        - `window_complete`: whether the window had closed by the end of the data and a target's horizon.
        - `label_time`: ms at which all of the item's known labels are known; null if that is not known.
        - `labelled`: whether the window is complete and the label of at least one target known.
        - `count`, `target`: the primary target's label as a count and on the target's scale; null unless known.
        - `counts`: events by type up to the primary target's horizon.

    Raises:
        ProtocolError: There is nothing to forecast, a target's metric does not occur, or `target = "log2"` meets a count of 0.
    """
    counters = COUNTERS.to_frame() if counters is None else counters
    targets = measured_targets(protocol, events, counters)
    primary = targets[0]
    if as_of is None:
        as_of = end_of_data(events, counters)
    if as_of is None:
        as_of = videos["published_at"].max()
    frame = _clocks(videos, events, counters, protocol, as_of)
    labels = measure_labels(frame, events, counters, targets, as_of=as_of, scale=protocol.target)
    seen = (
        observed(events, frame, protocol)
        .group_by("item")
        .agg(pl.len().alias("observed_events"), primary.counts().sum().alias("observed_count"))
    )
    until_horizon = events.join(frame.select("item", primary.horizon_end(as_of).alias("end")), on="item").filter(
        pl.col("time") <= pl.col("end")
    )
    by_type = (
        until_horizon.group_by("item", "type")
        .len("count")
        .sort("item", "type")
        .group_by("item", maintain_order=True)
        .agg(pl.struct("type", pl.col("count").cast(pl.Int64)).alias("counts"))
    )
    frame = (
        _with_labels(frame, labels, targets, as_of)
        .join(seen, on="item", how="left", maintain_order="left")
        .join(by_type, on="item", how="left", maintain_order="left")
        .with_columns(pl.col("observed_events", "observed_count").fill_null(0).cast(pl.Int64))
    )
    columns = ["item", "t0", "t0_source", "observed_until", "observed_events", "observed_count", "window_complete"]
    columns += ["label_time", "labelled", "count", "target", "counts"]
    return Labels(frame.select(columns), labels, targets, as_of, _notes(frame, labels, targets, protocol))


def _clocks(
    videos: pl.DataFrame, events: pl.DataFrame, counters: pl.DataFrame, protocol: Protocol, as_of: int | None
) -> pl.DataFrame:
    """Return each item's publication, first event, t = 0 and window."""
    first_event = events.group_by("item").agg(pl.col("time").min().alias("first_event"))
    first_snapshot = counters.group_by("item").agg(pl.col("time").min().alias("first_snapshot"))
    frame = videos.select("item", "published_at")
    for firsts in (first_event, first_snapshot):
        frame = frame.join(firsts, on="item", how="left", maintain_order="left")
    # ingest has removed snapshots before a stated publication, so they only matter where none is stated
    first = pl.min_horizontal("first_event", pl.when(pl.col("published_at").is_null()).then("first_snapshot"))
    frame = frame.with_columns(
        pl.min_horizontal("published_at", first).alias("t0"),
        pl.when(pl.col("published_at") <= pl.col("first_event").fill_null(pl.col("published_at")))
        .then(pl.lit("published"))
        .when(pl.col("first_event") <= first)
        .then(pl.lit("first event"))
        .when(first.is_not_null())
        .then(pl.lit("first snapshot"))
        .alias("t0_source"),
    )
    if protocol.first_k is None:
        frame = frame.with_columns((pl.col("t0") + round(protocol.hours * HOUR_MS)).alias("window_end"))
    else:
        kth = events.filter(pl.col("order") == protocol.first_k - 1).select("item", pl.col("time").alias("window_end"))
        frame = frame.join(kth, on="item", how="left", maintain_order="left")
    until = pl.min_horizontal("window_end", pl.lit(as_of, pl.Int64))
    return frame.with_columns(
        (pl.col("window_end") <= pl.lit(as_of, pl.Int64)).fill_null(False).alias("window_closed"),
        (pl.col("t0").is_not_null() | (protocol.first_k is not None)).alias("has_clock"),
        pl.max_horizontal(until, "t0").alias("observed_until"),
    )


def _with_labels(
    frame: pl.DataFrame, labels: pl.DataFrame, targets: list[MeasuredTarget], as_of: int | None
) -> pl.DataFrame:
    """Add the status of each item's labels, and the label of the primary target."""
    of_item = labels.group_by("item").agg(
        pl.col("known").any().alias("labelled"),
        pl.col("label_time").filter("known").max().alias("known_at"),
    )
    primary = labels.filter(pl.col("target") == targets[0].name).select(
        "item", pl.col("count").cast(pl.Int64), pl.col("value").alias("target")
    )
    return (
        frame.join(of_item, on="item", how="left", maintain_order="left")
        .join(primary, on="item", how="left", maintain_order="left")
        .with_columns(
            pl.when("labelled").then("known_at").otherwise(targets[0].horizon_end(as_of)).alias("label_time"),
            (_closed_in_time(targets, as_of) | pl.col("labelled")).alias("window_complete"),
        )
    )


def _closed_in_time(targets: Sequence[MeasuredTarget], as_of: int | None) -> pl.Expr:
    """Return whether the window had closed by the end of the data and a target's horizon."""
    horizons = [pl.min_horizontal(target.horizon_end(as_of), pl.lit(as_of, pl.Int64)) for target in targets]
    return (pl.col("window_end") <= pl.max_horizontal(horizons)).fill_null(False)


def unlabelled_windows(
    videos: pl.DataFrame,
    events: pl.DataFrame,
    counters: pl.DataFrame,
    protocol: Protocol,
    targets: Sequence[MeasuredTarget],
    *,
    as_of: int,
) -> pl.DataFrame:
    """Return the windows of items whose labels nobody asks for; see `measure_popularity`.

    Args:
        videos: `item`, `published_at` (ms or null), one row per item.
        events: The items' events.
        counters: The items' counters.
        protocol: Section `[protocol]` of the settings.
        targets: What is forecast.
        as_of: The moment of the forecast (ms).

    Returns:
        `item`, `t0`, `t0_source`, `observed_until`, `window_complete`.
    """
    frame = _clocks(videos, events, counters, protocol, as_of)
    complete = _closed_in_time(targets, as_of).alias("window_complete")
    return frame.select("item", "t0", "t0_source", "observed_until", complete)


def observed(events: pl.DataFrame, windows: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """Return the events inside each item's observation window: the only feedback that the process and the predictor see.

    Args:
        events: `item`, `time` (ms), `order`, and any other columns.
        windows: `item`, `t0`, `observed_until` (see `measure_popularity`).
        protocol: Section `[protocol]` of the settings; `first_k` decides how the window is cut.

    Returns:
        Rows of `events` in their order, with a column `hours` since t = 0.
    """
    joined = events.join(windows.select("item", "t0", "observed_until"), on="item", how="inner", maintain_order="left")
    # a window of no length holds nothing, also no event at t = 0
    inside = (pl.col("time") <= pl.col("observed_until")) & (not protocol.forecasts_at_publication)
    if protocol.first_k is not None:
        # by rank, not by time: other events can share the k-th event's millisecond
        inside = pl.col("order") < protocol.first_k
    seen = joined.filter(inside)
    # NumPy rounds the quotient to the nearest double; otherwise rounding could place the last event after the window's end.
    hours = (seen["time"] - seen["t0"]).to_numpy() / HOUR_MS
    return seen.with_columns(pl.Series("hours", hours)).drop("t0", "observed_until")


def _notes(frame: pl.DataFrame, labels: pl.DataFrame, targets: list[MeasuredTarget], protocol: Protocol) -> list[str]:
    early = frame.filter(pl.col("published_at") > pl.col("first_event"))["item"].to_list()
    known = labels.filter("known")
    sizes = dict(known.group_by("target").len().iter_rows())
    sources = {
        target.metric: "events of every type" if target.metric == ALL else f"{target.metric} events"
        for target in targets
        if target.source == "events"
    }
    notes = [
        f"{target.name}: {sources.get(target.metric, f'the counter {target.metric}')}, known of {sizes.get(target.name, 0)} of "
        f"{len(frame)} items"
        for target in targets
    ]
    if between := known.filter(pl.col("source") == "interpolated").height:
        notes.append(f"{between} labels are interpolated between the snapshots around the horizon")
    untimed = known.filter(pl.col("label_time").is_null()).height
    if untimed:
        what = "the chronological split, neighbours and " if protocol.split == "chronological" else ""
        notes.append(
            f"{untimed} labels are final counts without a time. They count as known from publication on, so {what}authors' "
            "histories may use labels that were not known yet (docs/protocol.md)"
        )
    if early:
        notes.append(
            f"{len(early)} items have feedback before their stated publication, first {early[0]}: t = 0 is the first event"
        )
    unlabelled = frame.filter(~pl.col("labelled")).height
    if unlabelled:
        notes.append(f"{unlabelled} items have no label yet: they are predicted, not trained or evaluated on")
    return notes
