"""Counts as cells: a place within [y, y + 1) for every count y, and quantiles of simulated counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def spread(counts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return y + u for each count y, where u is the place of its row in [0, 1).

    Args:
        counts: (n, ...) whole numbers; NaN stays NaN.
        places: (n,) places.
    """
    return counts + places.reshape(-1, *[1] * (counts.ndim - 1))


def places_of(items: Sequence[str] | np.ndarray) -> np.ndarray:
    """Return a place in [0, 1) per item, evenly spread over the distinct items in the order of their ids.

    All windows of an item have the same place, so a curve that rises stays one.

    Example:
        >>> places_of(["b", "a", "b", "c"]).round(3).tolist()
        [0.118, 0.5, 0.118, 0.736]
    """
    _, rank = np.unique(np.asarray(items), return_inverse=True)
    golden = (np.sqrt(5.0) - 1.0) / 2.0  # multiples of it fill [0, 1) evenly, however many there are
    return (0.5 + golden * rank) % 1.0


def quantiles_of_counts(counts: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return quantiles of samples of counts, each of which is spread evenly over its cell.

    Args:
        counts: (..., c, H) whole numbers: c samples.
        levels: (Q,) levels.

    Returns:
        (..., H, Q) float64. The whole part is a quantile of the counts.

    Example:
        >>> quantiles_of_counts(np.array([[0], [0], [0], [2]]), [0.375, 0.9]).round(2).tolist()
        [[0.5, 2.5]]
    """
    ordered = np.sort(np.moveaxis(counts, -1, -2), axis=-1)  # (..., H, c)
    size, number = ordered.shape[-1], np.arange(ordered.shape[-1])
    is_new = np.diff(ordered, axis=-1, prepend=-1) != 0
    is_last = np.diff(ordered, axis=-1, append=np.iinfo(np.int64).max) != 0
    first = np.maximum.accumulate(np.where(is_new, number, 0), axis=-1)
    last = np.minimum.accumulate(np.where(is_last, number, size)[..., ::-1], axis=-1)[..., ::-1]
    values = ordered + (number - first + 0.5) / (last - first + 1)  # equal samples share their cell
    position = np.clip(np.asarray(levels) * size - 0.5, 0, size - 1)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    return values[..., low] + (position - low) * (values[..., high] - values[..., low])
