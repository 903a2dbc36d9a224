"""Counts of every target's metric at every horizon of the curves, and from when each is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from assets.protocol.labels import matrix, measure_labels, observable_at
from assets.protocol.observation import HOUR_MS
from assets.protocol.target import MeasuredTarget, end_of_data
from assets.settings import Settings
from assets.settings.target import hours_of
from models.curves.curve_model import ENOUGH

NO_WINDOW = {"window_closed": True, "has_clock": True}  # a count of a curve may lie inside the observation window


@dataclass(frozen=True)
class HorizonCounts:
    """Counts of n items, T targets and H horizons.

    Attributes:
        count: (n, T, H) float64; NaN where unknown.
        since: (n, T, H) unix ms from which the count is known; NaN where unknown.
    """

    count: np.ndarray
    since: np.ndarray


def curve_horizons(settings: Settings, targets: Sequence[MeasuredTarget]) -> np.ndarray:
    """Return the horizons of the curves in hours: those of the settings and of the targets; infinite for the data's end."""
    own = {np.inf if target.hours is None else target.hours for target in targets}
    return np.array(sorted({*settings.curves.hours, *own}))


def horizon_counts(
    events: pl.DataFrame,
    counters: pl.DataFrame,
    popularity: pl.DataFrame,
    targets: Sequence[MeasuredTarget],
    horizons: np.ndarray,
    *,
    as_of: int | None,
    items: Sequence[str],
) -> HorizonCounts:
    """Measure the counts by the rules of labels (docs/protocol.md).

    The count at the end of the data is known of a target that is counted to it, and of no other.

    Args:
        events: All events.
        counters: The table `counters`.
        popularity: The table `popularity`.
        targets: The T targets.
        horizons: (H,) hours.
        as_of: End of the data, unix ms.
        items: n ids.
    """
    own = popularity.filter(pl.col("item").is_in(list(items)))
    clocks = own.select(
        "item",
        "t0",
        pl.col("t0").alias("window_end"),
        *(pl.lit(value).alias(name) for name, value in NO_WINDOW.items()),
    )
    shape = len(items), len(targets), len(horizons)
    count, since = np.full(shape, np.nan), np.full(shape, np.nan)
    for column, target in enumerate(targets):
        places = np.flatnonzero(np.isfinite(horizons) | (target.hours is None))
        at = [
            MeasuredTarget(
                target.metric, float(horizons[place]) if np.isfinite(horizons[place]) else None, target.source
            )
            for place in places
        ]
        labels = measure_labels(clocks, events, counters, at, as_of=as_of, scale="raw")
        labels = labels.join(own.select("item", "t0"), on="item", how="left", maintain_order="left")
        labels = labels.with_columns(pl.when("known").then(observable_at()).alias("since"))
        count[:, column, places] = matrix(labels, items, "count")
        since[:, column, places] = matrix(labels, items, "since")
    return HorizonCounts(count, since)


def simulated_horizons(settings: Settings, targets: Sequence[MeasuredTarget], training: np.ndarray) -> np.ndarray:
    """Return the horizons up to which the process is continued, (H,) bool.

    With too few training items for a regression, that is up to the last target's horizon.

    Args:
        settings: The settings.
        targets: The T targets.
        training: (n, T, H) counts of the training items at every horizon; NaN where unknown.
    """
    horizons = curve_horizons(settings, targets)
    last = max((target.hours for target in targets if target.hours is not None), default=0.0)
    few = ((~np.isnan(training)).sum(0) < ENOUGH).any(0) & (horizons <= last)
    return few | (horizons <= hours_of(settings.curves.simulated_until))


def end_of(settings: Settings, events: pl.DataFrame, counters: pl.DataFrame) -> int | None:
    """Return the end of the data, unix ms; None if no time is known."""
    stated = settings.data.as_of_ms
    return end_of_data(events, counters) if stated is None else stated


def hours_followed(popularity: pl.DataFrame, items: Sequence[str], as_of: int | None) -> np.ndarray:
    """Return for how many hours each item was followed until the end of the data, (n,); 0 without t = 0 or without an end."""
    if as_of is None:
        return np.zeros(len(items))
    t0 = dict(popularity.select("item", "t0").iter_rows())
    return np.array([0.0 if t0.get(item) is None else max(as_of - t0[item], 0) / HOUR_MS for item in items])
