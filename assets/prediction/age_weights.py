"""Weights that spread a window of any age over the ages at which something was fitted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def age_weights(ages: np.ndarray, grid: Sequence[float | None], *, whole: float | None) -> np.ndarray:
    """Return the weight of each grid age for each window: linear interpolation in the logarithm of the age.

    A window at a grid age has weight 1 there. One outside the grid has weight 1 at the nearest grid age.

    Args:
        ages: (n,) hours since t = 0; NaN for a complete window.
        grid: Ages in hours, ascending; the last is None for complete windows.
        whole: Length of a complete window in hours. None if complete windows have no common length; younger windows then
            have no weight there, unless the grid has no other age.

    Returns:
        (n, len(grid)); rows sum to 1.

    Example:
        >>> age_weights(np.array([1.0, 3.0, np.nan]), [1.0, 8.0, None], whole=24.0).round(2).tolist()
        [[1.0, 0.0, 0.0], [0.47, 0.53, 0.0], [0.0, 0.0, 1.0]]
    """
    weights = np.zeros((len(ages), len(grid)))
    complete = np.isnan(ages)
    weights[complete, -1] = 1.0
    hours = [hour for hour in (*grid[:-1], whole) if hour is not None]
    if not hours:
        weights[:, -1] = 1.0
        return weights
    knots, young = _minutes(np.array(hours)), _minutes(ages[~complete])
    for place in range(len(knots)):
        weights[np.flatnonzero(~complete), place] = np.interp(young, knots, np.eye(len(knots))[place])
    return weights


def _minutes(hours: np.ndarray) -> np.ndarray:
    """Return log(1 + minutes), which is finite at age 0."""
    return np.log1p(60.0 * hours)
