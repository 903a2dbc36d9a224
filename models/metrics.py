"""How good predictions are: M3TR appendix K, computed once over a whole split in float64.

Averaging a metric over batches is a different quantity (the variance of a batch is not that of the split: on raw counts
it changes nMSE ten-fold), so these functions take the split whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Metric = Callable[..., np.ndarray]


def nmse(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Mean squared error over the targets' population variance, eq. 43. 1 is what their own mean scores.

    target, predicted: (..., n). Returns (...). NaN where the targets are constant or n = 0.
    """
    target, predicted = np.asarray(target, np.float64), np.asarray(predicted, np.float64)
    return _divide(_mean((target - predicted) ** 2, axis), _variance(target, axis))


def mae(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Mean absolute error, eq. 45. target, predicted: (..., n). Returns (...). NaN where n = 0."""
    return _mean(np.abs(np.asarray(target, np.float64) - np.asarray(predicted, np.float64)), axis)


def plcc(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Pearson's linear correlation coefficient. target, predicted: (..., n). Returns (...).

    Eq. 46 writes a mean over T predicted quantities of each item; with one quantity an item, as here, only the usual
    coefficient over the items is defined, which is what is computed. NaN where either side is constant or n < 2.
    """
    target, predicted = np.asarray(target, np.float64), np.asarray(predicted, np.float64)
    x = target - np.expand_dims(_mean(target, axis), axis)
    y = predicted - np.expand_dims(_mean(predicted, axis), axis)
    scale = np.sqrt(_variance(target, axis)) * np.sqrt(_variance(predicted, axis))
    return np.clip(_divide(_mean(x * y, axis), scale), -1.0, 1.0)


def src(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Spearman's rank correlation. target, predicted: (..., n). Returns (...). NaN as for `plcc`.

    Eq. 44, 1 - 6 sum d^2 / (n (n^2 - 1)), holds without ties only; counts tie, so ranks are averaged over ties and
    correlated, which equals eq. 44 where there are none.
    """
    from scipy import stats

    return plcc(stats.rankdata(target, axis=axis), stats.rankdata(predicted, axis=axis), axis)


METRICS: dict[str, Metric] = {"nMSE": nmse, "SRC": src, "PLCC": plcc, "MAE": mae}


def evaluate(
    target: ArrayLike, predicted: ArrayLike, *, count: ArrayLike, predicted_count: ArrayLike
) -> dict[str, float]:
    """All metrics of one split, on the scale of the target and on that of raw counts.

    target, predicted: (n,) transformed labels and predictions; count, predicted_count: (n,) the same on raw counts.
    Returns `items`; `nMSE`, `SRC`, `PLCC`, `MAE` on the targets; `nMSE_count`, `PLCC_count`, `MAE_count` on the counts
    (SRC is the same on both: the transforms are monotone). A metric that is undefined (no items, constant targets or
    predictions) is NaN. Raises ValueError for shapes that differ and for values that are not finite, naming the row.
    """
    target, predicted = _pair(target, predicted, "target", "predicted")
    count, predicted_count = _pair(count, predicted_count, "count", "predicted_count")
    if len(count) != len(target):
        raise ValueError(f"target has {len(target)} items and count has {len(count)}; both must be of the same split")
    result = {"items": float(len(target))}
    result |= {name: float(metric(target, predicted)) for name, metric in METRICS.items()}
    result |= {f"{m}_count": float(METRICS[m](count, predicted_count)) for m in ("nMSE", "PLCC", "MAE")}
    return result


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds of its confidence interval; the bounds are NaN where they are undefined."""

    value: float
    low: float
    high: float


def interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean over runs (one value a seed) and Student's t interval of that mean.

    values: (runs,). One run has no spread: its bounds are NaN. Raises ValueError for no values and for a confidence
    outside (0, 1).
    """
    values = np.asarray(values, np.float64)
    _check_confidence(confidence)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must be one number a run, given shape {values.shape}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, np.nan, np.nan)
    from scipy import stats

    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Interval(mean, mean - float(half), mean + float(half))


def bootstrap(
    target: ArrayLike,
    predicted: ArrayLike,
    metric: Metric = nmse,
    *,
    other: ArrayLike | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval over the items of a split: what another sample of items might have given.

    target, predicted: (n,). With `other` (n,), a second predictor of the same items, it is the interval of the paired
    difference metric(predicted) - metric(other): items are drawn together, so that what is hard for both cancels.
    Resamples where the metric is undefined are left out; with fewer than two items the bounds are NaN.
    Raises ValueError as `evaluate` and `interval` do.
    """
    target, predicted = _pair(target, predicted, "target", "predicted")
    _check_confidence(confidence)
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, given {resamples}")
    if other is not None:
        _, other = _pair(target, other, "target", "other")

    def statistic(rows: np.ndarray) -> np.ndarray:
        value = metric(target[rows], predicted[rows])
        return value if other is None else value - metric(target[rows], other[rows])

    n = len(target)
    value = float(statistic(np.arange(n)))
    if n < 2:
        return Interval(value, np.nan, np.nan)
    generator = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // n)  # bounds the memory of the resampled rows
    drawn = [
        statistic(generator.integers(0, n, size=(min(chunk, resamples - done), n)))
        for done in range(0, resamples, chunk)
    ]
    defined = np.concatenate(drawn)
    defined = defined[np.isfinite(defined)]
    if not len(defined):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high))


def _pair(first: ArrayLike, second: ArrayLike, first_name: str, second_name: str) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"{first_name} and {second_name} must be one number an item, of equal length; "
            f"given shapes {first.shape} and {second.shape}"
        )
    for name, values in ((first_name, first), (second_name, second)):
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise ValueError(f"{name} must be finite, row {bad[0]} is {values[bad[0]]} ({bad.size} such rows)")
    return first, second


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, given {confidence}")


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    n = values.shape[axis]
    return values.sum(axis) / n if n else np.full(values.sum(axis).shape, np.nan)


def _variance(values: np.ndarray, axis: int) -> np.ndarray:
    # Equal values are constant exactly, whatever their mean rounds to: else 1e-33 would stand for "no variance".
    variance = _mean((values - np.expand_dims(_mean(values, axis), axis)) ** 2, axis)
    constant = np.ptp(values, axis) == 0 if values.shape[axis] else np.ones(variance.shape, bool)
    return np.where(constant, 0.0, variance)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
