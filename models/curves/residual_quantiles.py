"""Quantiles around a forecast, from residuals of items that it was not fitted on: a conformal predictive system."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WIDTH = 1.0  # of the kernel over forecasts, on the scale of the forecasts
ROWS_AT_ONCE = 512
IN_CACHE = 32  # rows whose kernel fits into the processor's cache
COMMON = 0.3  # share of a residual's weight that does not depend on its forecast


def residual_quantiles(
    residuals: np.ndarray,
    forecasts: np.ndarray,
    weights: np.ndarray,
    *,
    at: np.ndarray,
    levels: Sequence[float] | np.ndarray,
) -> np.ndarray:
    """Return quantiles of the residual of new windows.

    Split-conformal prediction (Vovk et al. 2020) with one distribution for all levels: of n residuals in ascending order, the
    i-th one is the quantile at i / (n + 1), with linear interpolation. With weights, n is their effective number. Residuals of
    similar forecasts count more, so that the quantiles hold at low and at high forecasts alike: a residual's weight is
    multiplied by `COMMON + (1 - COMMON) K`, where K is a normal kernel of width `WIDTH` over the forecasts, scaled to the mean
    1. With few residuals near a forecast, the common part decides.

    Args:
        residuals: (m,) observation minus forecast of calibration windows.
        forecasts: (m,) their forecasts.
        weights: (m,) their weights, at least 0, some above 0.
        at: (n,) forecasts of the new windows.
        levels: (Q,) levels.

    Returns:
        (n, Q).

    Example:
        >>> around = np.zeros(9)
        >>> residual_quantiles(np.arange(9.0), around, np.ones(9), at=np.zeros(1), levels=[0.1, 0.5, 0.9]).tolist()
        [[0.0, 4.0, 8.0]]
    """
    order = np.argsort(residuals, kind="stable")
    residuals, forecasts, weights = residuals[order], forecasts[order], weights[order]
    used = weights > 0
    residuals, forecasts, weights = residuals[used], forecasts[used], weights[used] / weights[used].mean()
    result = np.empty((len(at), len(levels)))
    for start in range(0, len(at), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        result[rows] = _quantiles(residuals, forecasts, weights, at[rows], np.asarray(levels))
    return result


def _quantiles(
    residuals: np.ndarray, forecasts: np.ndarray, weights: np.ndarray, at: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    parts = [slice(start, start + IN_CACHE) for start in range(0, len(at), IN_CACHE)]
    kernels = np.empty((len(at), len(forecasts)))
    for rows in parts:
        kernels[rows] = np.exp(-0.5 * ((at[rows, None] - forecasts) / WIDTH) ** 2)
    nearby = kernels @ weights / len(weights)
    factor = ((1.0 - COMMON) / np.maximum(nearby, 1e-12))[:, None]
    result = np.empty((len(at), len(levels)))
    for rows in parts:
        kernel = kernels[rows]
        kernel *= factor[rows]
        kernel += COMMON
        kernel *= weights
        size = kernel.sum(1) ** 2 / (kernel**2).sum(1)  # effective number of residuals
        np.cumsum(kernel, axis=1, out=kernel)
        kernel /= kernel[:, -1:] * (1.0 + 1.0 / size[:, None])
        above = np.stack([np.searchsorted(row, levels) for row in kernel])  # (rows, Q)
        above = np.minimum(above, len(residuals) - 1)
        below = np.maximum(above - 1, 0)
        low, high = (np.take_along_axis(kernel, places, axis=1) for places in (below, above))
        step = np.clip((levels - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        result[rows] = residuals[below] + step * (residuals[above] - residuals[below])
    return result
