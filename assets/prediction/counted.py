"""Events counted of an item so far: a lower bound of its forecast."""

from __future__ import annotations

import numpy as np
import polars as pl

from assets.protocol.observation import observed
from assets.protocol.target import label_event
from assets.settings import Protocol
from models import targets


def counted_at(
    events: pl.DataFrame, windows: pl.DataFrame, protocol: Protocol, *, items: list[str], age: float | None = None
) -> np.ndarray:
    """Count the events of the label's type in each item's window, as it was at an age.

    Args:
        events: The data set's feedback; see `assets.protocol.observation.observed`.
        windows: `item`, `t0`, `observed_until`; see `assets.protocol.observation.measure_popularity`.
        protocol: Section `[protocol]` of the settings.
        items: Ids, in the order of the result.
        age: Age in hours; None for the whole window.

    Returns:
        (n,) float64 counts.
    """
    counted = label_event(protocol, events)
    seen = observed(events, windows.filter(pl.col("item").is_in(items)), protocol)
    if age is not None:
        seen = seen.filter((pl.col("hours") <= age) & (age > 0))  # at publication nothing is seen
    if counted != "all":
        seen = seen.filter(pl.col("type") == counted)
    counts = dict(seen.group_by("item").len().iter_rows())
    return np.array([counts.get(item, 0) for item in items], dtype=np.float64)


def counted_so_far(events: pl.DataFrame, labels: pl.DataFrame, protocol: Protocol, *, items: list[str]) -> np.ndarray:
    """Count the events of the label's type up to each item's horizon or the end of the data, also after its window.

    Used for items without a label: the model may not see events after the window, but a forecast below their count would be
    known to be wrong.

    Args:
        events: All events.
        labels: The table `popularity`.
        protocol: Section `[protocol]` of the settings.
        items: Ids, in the order of the result.

    Returns:
        (n,) float64 counts.
    """
    counted = label_event(protocol, events)
    counts = {
        item: sum(part["count"] for part in by_type or [] if counted in ("all", part["type"]))
        for item, by_type in labels.select("item", "counts").iter_rows()
    }
    return np.array([counts.get(item, 0) for item in items], dtype=np.float64)


def at_least(predicted: np.ndarray, counted: np.ndarray, scale: targets.Transform) -> np.ndarray:
    """Raise forecasts to the events already counted.

    Args:
        predicted: (..., n) forecasts on the target's scale.
        counted: (n,) counts so far.
        scale: The target's scale.

    Returns:
        (..., n) forecasts on the target's scale.

    Example:
        >>> import numpy as np
        >>> at_least(np.array([1.0, 4.0]), np.array([3.0, 3.0]), "log2p1").tolist()
        [2.0, 4.0]
    """
    return np.maximum(predicted, targets.forward(np.maximum(counted, targets.smallest_count(scale)), scale))
