"""What was counted of an item so far: a lower bound of its forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.metadata.observed_counts import counter_columns, event_counts, windows_at
from assets.protocol.observation import HOUR_MS
from assets.protocol.target import MeasuredTarget
from assets.settings import Protocol
from models import targets as scales


def counted_at(
    events: pl.DataFrame,
    counters: pl.DataFrame,
    windows: pl.DataFrame,
    targets: Sequence[MeasuredTarget],
    protocol: Protocol,
    *,
    items: Sequence[str],
    ages: Sequence[float | None],
) -> np.ndarray:
    """Return what was counted of each target in n windows of any ages.

    Args:
        events: The data set's feedback; see `assets.protocol.observation.observed`.
        counters: The table `counters`.
        windows: `item`, `t0`, `observed_until`; see `assets.protocol.observation.measure_popularity`.
        targets: The T targets.
        protocol: Section `[protocol]` of the settings.
        items: (n,) id of each window's item; an item may have several windows.
        ages: (n,) hours since t = 0; None for an item's own window. Nothing is seen at age 0.

    Returns:
        (n, T) float64: numbers of events, 0 if there are none; or a counter's last value, NaN if there is none.
    """
    at = windows_at(items, ages, windows)
    columns = [
        event_counts(at, events.filter(target.counts()), windows, protocol)
        if target.source == "events"
        else counter_columns(at, counters, windows, protocol, [target.metric])[f"counter {target.metric}"]
        for target in targets
    ]
    return np.column_stack([column.fill_null(np.nan).to_numpy() for column in columns])


def counted_so_far(
    events: pl.DataFrame,
    counters: pl.DataFrame,
    windows: pl.DataFrame,
    targets: Sequence[MeasuredTarget],
    *,
    items: list[str],
) -> np.ndarray:
    """Return what was counted of each target up to the item's horizon or the end of the data, also after its window.

    Used for items without a label: the model may not see feedback after the window, but a forecast below its count would be
    known to be wrong.

    Args:
        events: All events.
        counters: The table `counters`; final counts without a time are left out.
        windows: The table `popularity`.
        targets: The T targets.
        items: Ids, in the order of the result.

    Returns:
        (n, T), as from `counted_at`.
    """
    clocks = windows.filter(pl.col("item").is_in(items)).select("item", "t0")
    parts = []
    for target in targets:
        until = pl.lit(True) if target.hours is None else pl.col("time") <= pl.col("t0") + round(target.hours * HOUR_MS)
        timed, taken = (frame.join(clocks, on="item").filter(until) for frame in (events, counters))
        parts.append(_matrix(timed, taken.drop_nulls("time").sort("item", "time"), [target], items))
    return np.concatenate(parts, axis=1)


def _matrix(
    events: pl.DataFrame, snapshots: pl.DataFrame, targets: Sequence[MeasuredTarget], items: list[str]
) -> np.ndarray:
    columns = []
    for target in targets:
        if target.source == "events":
            counts, nothing = events.filter(target.counts()).group_by("item").len(), 0.0
        else:
            own = snapshots.filter(pl.col("metric") == target.metric)
            counts, nothing = own.group_by("item", maintain_order=True).agg(pl.col("value").last()), np.nan
        by_item = dict(counts.iter_rows())
        columns.append(np.array([by_item.get(item, nothing) for item in items], dtype=np.float64))
    return np.column_stack(columns)


def at_least(predicted: np.ndarray, counted: np.ndarray, scale: scales.Transform) -> np.ndarray:
    """Raise forecasts to the events already counted.

    Args:
        predicted: (..., n) forecasts on the target's scale.
        counted: (n,) counts so far; NaN if unknown.
        scale: The target's scale.

    Returns:
        (..., n) forecasts on the target's scale.

    Example:
        >>> import numpy as np
        >>> at_least(np.array([1.0, 4.0]), np.array([3.0, 3.0]), "log2p1").tolist()
        [2.0, 4.0]
    """
    lowest = scales.smallest_count(scale)
    return np.maximum(predicted, scales.forward(np.fmax(counted, lowest), scale))
