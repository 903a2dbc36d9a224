"""Metrics of M3TR appendix K, computed once over a whole split in float64.

An average of per-batch metrics is a different quantity, because the variance of a batch is not that of the split. On raw
counts it changes nMSE ten-fold. So these functions take a whole split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

Metric = Callable[..., np.ndarray]


def nmse(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return the mean squared error over the population variance of the targets (M3TR eq. 43).

    The mean of the targets scores 1.

    Args:
        target: (..., n) labels.
        predicted: (..., n) predictions.
        axis: Axis of the n items.

    Returns:
        (...) float64; NaN where the targets are constant or n = 0.

    Example:
        >>> float(nmse([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]))
        0.5
    """
    target, predicted = np.asarray(target, np.float64), np.asarray(predicted, np.float64)
    return _divide(_mean((target - predicted) ** 2, axis), _variance(target, axis))


def mae(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return the mean absolute error (M3TR eq. 45); arguments and shapes as for `nmse`, NaN where n = 0."""
    return _mean(np.abs(np.asarray(target, np.float64) - np.asarray(predicted, np.float64)), axis)


def plcc(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return Pearson's linear correlation coefficient over the items; arguments and shapes as for `nmse`.

    M3TR eq. 46 averages over T predicted quantities per item. There is one quantity per item here, so only the usual
    coefficient over the items is defined. It is NaN where either side is constant or n < 2.
    """
    target, predicted = np.asarray(target, np.float64), np.asarray(predicted, np.float64)
    x = target - np.expand_dims(_mean(target, axis), axis)
    y = predicted - np.expand_dims(_mean(predicted, axis), axis)
    scale = np.sqrt(_variance(target, axis)) * np.sqrt(_variance(predicted, axis))
    return np.clip(_divide(_mean(x * y, axis), scale), -1.0, 1.0)


def src(target: ArrayLike, predicted: ArrayLike, axis: int = -1) -> np.ndarray:
    """Return Spearman's rank correlation; arguments and shapes as for `nmse`, NaN as for `plcc`.

    M3TR eq. 44, 1 - 6 sum d^2 / (n (n^2 - 1)), holds only without ties, and counts have ties. So the ranks are averaged over
    ties and then correlated, which equals eq. 44 if there are no ties.
    """
    from scipy import stats

    return plcc(stats.rankdata(target, axis=axis), stats.rankdata(predicted, axis=axis), axis)


METRICS: dict[str, Metric] = {"nMSE": nmse, "SRC": src, "PLCC": plcc, "MAE": mae}


def evaluate(
    target: ArrayLike, predicted: ArrayLike, *, count: ArrayLike, predicted_count: ArrayLike
) -> dict[str, float]:
    """Return all metrics of one split, on the scale of the target and on raw counts.

    Args:
        target: (n,) labels on the scale of the target.
        predicted: (n,) predictions on the same scale.
        count: (n,) labels as raw counts.
        predicted_count: (n,) predictions as raw counts.

    Returns:
        `items`; `nMSE`, `SRC`, `PLCC`, `MAE` on the scale of the target; `nMSE_count`, `PLCC_count`, `MAE_count` on raw
        counts. SRC is the same on both scales, because the transforms are monotone. An undefined metric (no items, constant
        targets or predictions) is NaN.

    Raises:
        ValueError: Shapes differ, or a value is not finite; the message names its row.
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
    """An estimate with the bounds of its confidence interval; undefined bounds are NaN."""

    value: float
    low: float
    high: float


def interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return the mean over runs and Student's t interval of that mean.

    Args:
        values: (runs,), one value per seed. The bounds of a single run are NaN.
        confidence: Probability that the interval covers the mean, in (0, 1).

    Raises:
        ValueError: There are no values, or the confidence is outside (0, 1).
    """
    values = np.asarray(values, np.float64)
    _check_confidence(confidence)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"values must hold one number per run, given shape {values.shape}")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, np.nan, np.nan)
    from scipy.special import stdtrit  # scipy.stats takes a second to load

    half = stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / np.sqrt(len(values))
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
    """Return a metric with its percentile bootstrap interval over resampled items.

    Args:
        target: (n,) labels.
        predicted: (n,) predictions.
        metric: Function of (target, predicted), such as `nmse`.
        other: (n,) predictions of a second predictor for the same items. With it the result is the paired difference
            metric(predicted) - metric(other). Both are resampled together, so that items that are hard for both cancel.
        confidence: Probability of the interval, in (0, 1).
        resamples: Number of resampled splits; resamples with an undefined metric are left out.
        seed: Seed of the resampling.

    Returns:
        The metric on all items and the bounds; with fewer than two items the bounds are NaN.

    Raises:
        ValueError: As for `evaluate` and `interval`.
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
            f"{first_name} and {second_name} must hold one number per item and have equal lengths; "
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
    # Rounding of the mean can leave a variance of 1e-33 for equal values; a constant must have exactly none.
    variance = _mean((values - np.expand_dims(_mean(values, axis), axis)) ** 2, axis)
    constant = np.ptp(values, axis) == 0 if values.shape[axis] else np.ones(variance.shape, bool)
    return np.where(constant, 0.0, variance)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)
