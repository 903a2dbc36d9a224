"""What may be seen of an item and what must be forecast: the observation window and the label (docs/protocol.md).

Pure functions on polars frames. Every stage that touches feedback goes through `observed`, so that there is one place
where the window is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.settings import Protocol
from models import targets

HOUR_MS = 3_600_000


class ProtocolError(ValueError):
    """The protocol cannot be applied to this data; the message says what is allowed."""


@dataclass(frozen=True)
class Labels:
    """Popularity of every item, with what was decided on the way."""

    frame: pl.DataFrame
    label_event: str
    as_of: int
    notes: list[str]


def label_event(protocol: Protocol, events: pl.DataFrame) -> str:
    """The type of event that is counted, `all` for every type.

    Raises:
        ProtocolError: the type asked for does not occur.
    """
    types = events["type"].unique().sort().to_list()
    if protocol.label_event == "auto":
        return "comment" if "comment" in types else "all"
    if protocol.label_event != "all" and types and protocol.label_event not in types:
        raise ProtocolError(
            f"protocol.label_event = {protocol.label_event!r}: allowed are all, auto, {', '.join(types)}"
        )
    return protocol.label_event


def popularity(videos: pl.DataFrame, events: pl.DataFrame, protocol: Protocol, *, as_of: int | None = None) -> Labels:
    """Return window, label and label status of every item.

    Args:
        videos: `item`, `published_at` (ms or null), one row per item.
        events: `item`, `type`, `time` (ms), `order` (rank in its item by time, from 0).
        protocol: the settings' section.
        as_of: end of the data (ms): what happened later is not known. By default the last event.

    Returns:
        One row per item, in the order of `videos`: `t0` (ms; null where neither publication nor an event is known),
        `t0_source` (`published` | `first event` | null), `observed_until` (ms), `observed_events`, `observed_count` (of the
        label's type), `window_complete`,
        `label_time` (ms at which the label is known), `labelled`, `count`, `target` (null unless labelled), `counts`
        (by type, up to the horizon). An event that precedes the publication moves t = 0 to itself: the stated time is wrong.
    """
    counted = label_event(protocol, events)
    if as_of is None:
        as_of = events["time"].max()
    known = videos.lazy().select("item", "published_at")
    firsts = events.lazy().group_by("item").agg(pl.col("time").min().alias("first_event"), pl.len().alias("events"))
    frame = known.join(firsts, on="item", how="left").with_columns(
        pl.min_horizontal("published_at", "first_event").alias("t0"),
        pl.when(pl.col("published_at") <= pl.col("first_event").fill_null(pl.col("published_at")))
        .then(pl.lit("published"))
        .when(pl.col("first_event").is_not_null())
        .then(pl.lit("first event"))
        .alias("t0_source"),
        pl.col("events").fill_null(0),
    )
    horizon = pl.lit(as_of, pl.Int64) if protocol.horizon is None else pl.col("t0") + round(protocol.horizon * HOUR_MS)
    frame = frame.with_columns(horizon.alias("label_time"))
    if protocol.first_k is None:
        frame = frame.with_columns((pl.col("t0") + round(protocol.hours * HOUR_MS)).alias("window_end"))
    else:
        kth = (
            events.lazy()
            .filter(pl.col("order") == protocol.first_k - 1)
            .select("item", pl.col("time").alias("window_end"))
        )
        frame = frame.join(kth, on="item", how="left")
    frame = frame.with_columns(
        (pl.col("window_end") <= pl.min_horizontal("label_time", pl.lit(as_of, pl.Int64)))
        .fill_null(False)
        .alias("window_complete"),
        pl.min_horizontal("window_end", pl.lit(as_of, pl.Int64)).alias("observed_until"),
    ).with_columns(
        (pl.col("window_complete") & (pl.col("label_time") <= as_of)).fill_null(False).alias("labelled"),
        pl.max_horizontal("observed_until", "t0").alias("observed_until"),
    )
    frame = frame.collect()
    of_label = pl.col("type").is_not_null() if counted == "all" else pl.col("type") == counted
    seen = (
        observed(events, frame, protocol)
        .group_by("item")
        .agg(pl.len().alias("observed_events"), of_label.sum().alias("observed_count"))
    )
    until_label = events.join(frame.select("item", "label_time"), on="item").filter(
        pl.col("time") <= pl.col("label_time")
    )
    by_type = (
        until_label.group_by("item", "type")
        .len("count")
        .sort("item", "type")
        .group_by("item", maintain_order=True)
        .agg(pl.struct("type", pl.col("count").cast(pl.Int64)).alias("counts"))
    )
    totals = until_label.filter(of_label).group_by("item").len("count")
    frame = (
        frame.join(seen, on="item", how="left")
        .join(totals, on="item", how="left")
        .join(by_type, on="item", how="left")
        .with_columns(
            pl.col("observed_events", "observed_count").fill_null(0).cast(pl.Int64),
            pl.when("labelled").then(pl.col("count").fill_null(0).cast(pl.Int64)).alias("count"),
        )
    )
    counts = frame["count"].to_numpy().astype(np.float64)
    target = np.full(len(counts), np.nan)
    has_label = frame["labelled"].to_numpy()
    if protocol.target == "log2" and (counts[has_label] < 1).any():
        item = frame.filter(pl.col("count") == 0)["item"][0]
        raise ProtocolError(f"protocol.target = 'log2' and item {item} has a count of 0: allowed are log2p1 and raw")
    target[has_label] = targets.forward(counts[has_label], protocol.target)
    frame = frame.with_columns(pl.Series("target", target).fill_nan(None))
    columns = ["item", "t0", "t0_source", "observed_until", "observed_events", "observed_count", "window_complete"]
    columns += ["label_time", "labelled", "count", "target", "counts"]
    return Labels(frame.select(columns), counted, as_of, _notes(frame, counted))


def observed(events: pl.DataFrame, windows: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    """The events inside each item's observation window: the only feedback that the process and the predictor see.

    Args:
        events: `item`, `time`, `order` and whatever else; `windows`: `item`, `t0`, `observed_until` (see `popularity`).

    Returns:
        The events' rows, with `hours` since t = 0, in the order of `events`.
    """
    joined = events.join(windows.select("item", "t0", "observed_until"), on="item", how="inner", maintain_order="left")
    inside = pl.col("time") <= pl.col("observed_until")
    if protocol.first_k is not None:
        # by rank, not by time: events that share the k-th one's millisecond are not part of the first k
        inside = pl.col("order") < protocol.first_k
    seen = joined.filter(inside)
    # by NumPy, whose quotient is the nearest double: the last event of a window must not fall after its end by a rounding
    hours = (seen["time"] - seen["t0"]).to_numpy() / HOUR_MS
    return seen.with_columns(pl.Series("hours", hours)).drop("t0", "observed_until")


def _notes(frame: pl.DataFrame, counted: str) -> list[str]:
    early = frame.filter(pl.col("published_at") > pl.col("first_event"))["item"].to_list()
    notes = [f"label: {'events of every type' if counted == 'all' else counted + ' events'}"]
    if early:
        notes.append(
            f"{len(early)} items have feedback before their stated publication, first {early[0]}: t = 0 is the first event"
        )
    unlabelled = frame.filter(~pl.col("labelled")).height
    if unlabelled:
        notes.append(f"{unlabelled} items have no label yet: they are predicted, not trained or evaluated on")
    return notes
