"""The observation window and the label of an item: what a model may see and what it forecasts (docs/protocol.md).

Pure functions on polars frames. Every stage that reads feedback calls `observed`, so the window is cut in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.settings import Protocol
from models import targets

HOUR_MS = 3_600_000


class ProtocolError(ValueError):
    """The protocol does not fit the data; the message says what is allowed."""


@dataclass(frozen=True)
class Labels:
    """Window and label of every item.

    Attributes:
        frame: One row per item; see `measure_popularity`.
        label_event: Type of event that is counted, or `all`.
        as_of: End of the data, unix ms.
        notes: Remarks for the log, one sentence each.
    """

    frame: pl.DataFrame
    label_event: str
    as_of: int
    notes: list[str]


def label_event(protocol: Protocol, events: pl.DataFrame) -> str:
    """Return the type of event that is counted, `all` for every type.

    Args:
        protocol: Section `[protocol]` of the settings.
        events: All events, with their `type`.

    Raises:
        ProtocolError: `protocol.label_event` names a type that does not occur.

    Example:
        >>> import polars as pl
        >>> from assets.settings import Protocol
        >>> label_event(Protocol(), pl.DataFrame({"type": ["like", "comment"]}))
        'comment'
    """
    types = events["type"].unique().sort().to_list()
    if protocol.label_event == "auto":
        return "comment" if "comment" in types else "all"
    if protocol.label_event != "all" and types and protocol.label_event not in types:
        raise ProtocolError(
            f"protocol.label_event = {protocol.label_event!r}: allowed are all, auto, {', '.join(types)}"
        )
    return protocol.label_event


def measure_popularity(
    videos: pl.DataFrame, events: pl.DataFrame, protocol: Protocol, *, as_of: int | None = None
) -> Labels:
    """Return the window, label and label status of every item.

    An event before the stated publication moves t = 0 to itself, because the stated time must then be wrong.

    Args:
        videos: `item`, `published_at` (ms or null), one row per item.
        events: `item`, `type`, `time` (ms), `order` (rank within the item by time, from 0).
        protocol: Section `[protocol]` of the settings.
        as_of: End of the data (ms); later events are unknown. Default: the last event.

    Returns:
        The labels. Their `frame` has one row per item, in the order of `videos`:

        - `item`
        - `t0`: ms; null if neither a publication nor an event is known.
        - `t0_source`: `published`, `first event` or null.
        - `observed_until`: end of the observed window, ms.
        - `observed_events`: events in the window.
        - `observed_count`: events of the label's type in the window.
        - `window_complete`: whether the window had closed by the end of the data and the label's horizon.
        - `label_time`: ms at which the label is known.
        - `labelled`: whether the window is complete and the label known.
        - `count`, `target`: the label as a count and on the target's scale; null unless labelled.
        - `counts`: events by type up to the horizon.

    Raises:
        ProtocolError: The label's type does not occur, or `target = "log2"` meets a count of 0.
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
        raise ProtocolError(f"protocol.target = 'log2', but item {item} has a count of 0: allowed are log2p1 and raw")
    target[has_label] = targets.forward(counts[has_label], protocol.target)
    frame = frame.with_columns(pl.Series("target", target).fill_nan(None))
    columns = ["item", "t0", "t0_source", "observed_until", "observed_events", "observed_count", "window_complete"]
    columns += ["label_time", "labelled", "count", "target", "counts"]
    return Labels(frame.select(columns), counted, as_of, _notes(frame, counted))


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
