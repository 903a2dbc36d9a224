"""What has been counted of an item so far: no forecast is below it."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.protocol.observation import label_event, observed
from assets.settings import Protocol
from models import targets


def counted_at(
    events: pl.DataFrame, windows: pl.DataFrame, protocol: Protocol, *, items: list[str], age: float | None = None
) -> np.ndarray:
    """Count the events of the label's type in each item's window, as it was at an age.

    Args:
        events: the data set's feedback; see `assets.protocol.observation.observed`.
        windows: `item`, `t0`, `observed_until`; see `assets.protocol.observation.measure_popularity`.
        protocol: the settings' section.
        items: which items, in which order.
        age: in hours; None for the whole window.

    Returns:
        (items,) float64.
    """
    counted = label_event(protocol, events)
    seen = observed(events, windows.filter(pl.col("item").is_in(items)), protocol)
    if age is not None:
        seen = seen.filter(pl.col("hours") <= age)
    if counted != "all":
        seen = seen.filter(pl.col("type") == counted)
    counts = dict(seen.group_by("item").len().iter_rows())
    return np.array([counts.get(item, 0) for item in items], dtype=np.float64)


def counted_so_far(events: pl.DataFrame, labels: pl.DataFrame, protocol: Protocol, *, items: list[str]) -> np.ndarray:
    """Count the events of the label's type up to each item's horizon or the end of the data, also after its window.

    For items without a label: what the model may not see, a forecast that is read today must still not deny.
    """
    counted = label_event(protocol, events)
    counts = {
        item: sum(part["count"] for part in by_type or [] if counted in ("all", part["type"]))
        for item, by_type in labels.select("item", "counts").iter_rows()
    }
    return np.array([counts.get(item, 0) for item in items], dtype=np.float64)


def at_least(predicted: np.ndarray, counted: np.ndarray, scale: targets.Transform) -> np.ndarray:
    """Raise forecasts (..., n) on the scale of the target to what was already counted (n,)."""
    return np.maximum(predicted, targets.forward(np.maximum(counted, targets.smallest_count(scale)), scale))
