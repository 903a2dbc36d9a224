"""What was counted of an item so far: a lower bound of its forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.metadata.observed_counts import observed_snapshots
from assets.protocol.observation import HOUR_MS, observed
from assets.protocol.target import ALL, MeasuredTarget
from assets.settings import Protocol
from models import targets as scales
from models.predictors import Table


def counted_at(
    events: pl.DataFrame,
    counters: pl.DataFrame,
    windows: pl.DataFrame,
    targets: Sequence[MeasuredTarget],
    protocol: Protocol,
    *,
    items: list[str],
    age: float | None = None,
) -> np.ndarray:
    """Return what was counted of each target in each item's window, as it was at an age.

    Args:
        events: The data set's feedback; see `assets.protocol.observation.observed`.
        counters: The table `counters`.
        windows: `item`, `t0`, `observed_until`; see `assets.protocol.observation.measure_popularity`.
        targets: The T targets.
        protocol: Section `[protocol]` of the settings.
        items: Ids, in the order of the result.
        age: Age in hours; None for the whole window. Nothing is seen at age 0.

    Returns:
        (n, T) float64: numbers of events, 0 if there are none; or a counter's last value, NaN if there is none.
    """
    own = windows.filter(pl.col("item").is_in(items))
    seen, snapshots = observed(events, own, protocol), observed_snapshots(counters, own, protocol)
    if age is not None:
        until = (pl.col("hours") <= age) & pl.lit(age > 0)
        seen, snapshots = seen.filter(until), snapshots.filter(until)
    return _matrix(seen, snapshots, targets, items)


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


def counted_in_table(table: Table, names: Sequence[str]) -> np.ndarray:
    """Return the count of each target at the end of each window, as the window table holds it.

    Args:
        table: n windows.
        names: T names of targets, `METRIC@HORIZON`.

    Returns:
        (n, T) float64; NaN where the table has no column of the metric, or no value.

    Example:
        >>> table = Table(np.array([[5.0, 2.0]]), ("events", "events like"))
        >>> counted_in_table(table, ["like@7d", "all@end", "view@7d"]).tolist()
        [[2.0, 5.0, nan]]
    """
    several = any(name.startswith("events ") for name in table.numeric_names)
    columns = []
    for metric in (name.rpartition("@")[0] for name in names):
        # a metric that occurs as a type and as a counter is counted from the events; a lone type has no column of its own
        wanted = [f"events {metric}", f"counter {metric}", *([] if several and metric != ALL else ["events"])]
        held = [table.numeric_names.index(name) for name in wanted if name in table.numeric_names]
        columns.append(table.numeric[:, held[0]] if held else np.full(len(table), np.nan))
    return np.column_stack(columns)
