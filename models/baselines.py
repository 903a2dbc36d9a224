"""Trivial predictors, which every table of results shows beside the models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


class NotApplicable(ValueError):
    """The baseline cannot be fitted on this data, for the reason in the message. This is a result, not a failure."""


def training_mean(train_target: ArrayLike, n: int) -> np.ndarray:
    """Return the mean training target for each of n items.

    Args:
        train_target: (m,) targets of the training items, m >= 1.
        n: Number of items to predict.

    Returns:
        (n,) float64.

    Raises:
        ValueError: There are no training targets.
    """
    train_target = np.asarray(train_target, np.float64)
    if train_target.ndim != 1 or not len(train_target):
        raise ValueError(f"train_target must hold one number per item, given shape {train_target.shape}")
    return np.full(n, train_target.mean())


def neighbour_mean(label: ArrayLike, mask: ArrayLike, train_target: ArrayLike, *, k: int | None = None) -> np.ndarray:
    """Return the unweighted mean label of each item's neighbours, or the training mean for an item without neighbours.

    Args:
        label: (n, S) targets of the neighbours, most similar first.
        mask: (n, S) bool, False where there is no neighbour.
        train_target: (m,) targets of the training items.
        k: Number of neighbours to use; None uses all.

    Returns:
        (n,) on the scale of the targets.

    Raises:
        ValueError: Shapes differ, or k is below 1.
    """
    label, mask = np.asarray(label, np.float64), np.asarray(mask, bool)
    if label.ndim != 2 or label.shape != mask.shape:
        raise ValueError(f"label and mask must be (items, neighbours), given {label.shape} and {mask.shape}")
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, given {k}")
    if k is not None:
        mask = mask & (np.cumsum(mask, axis=1) <= k)
    number = mask.sum(axis=1)
    total = np.where(mask, label, 0.0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), training_mean(train_target, len(label)))


@dataclass(frozen=True)
class LogLinear:
    """Extrapolation of the early count: log2(1 + N_horizon) = intercept + slope log2(1 + N_observed).

    Szabo and Huberman, "Predicting the popularity of online content", 2010: the logarithms of early and late counts are
    linearly related. They fix the slope to 1; here both coefficients are fitted by ordinary least squares.
    """

    intercept: float
    slope: float

    @classmethod
    def fit(cls, observed: ArrayLike, count: ArrayLike) -> LogLinear:
        """Fit both coefficients by ordinary least squares.

        Args:
            observed: (m,) counts of the training items in the observation window.
            count: (m,) counts of the same items at the horizon.

        Raises:
            NotApplicable: There are fewer than two items, or all observed counts are equal. In a window of the first k
                events every item has k events.
        """
        x, y = _log2p1(observed, "observed"), _log2p1(count, "count")
        if x.shape != y.shape:
            raise ValueError(f"observed and count must be of the same items, given {x.shape} and {y.shape}")
        if len(x) < 2:
            raise NotApplicable(f"a line needs two training items, given {len(x)}")
        if np.ptp(x) == 0:
            raise NotApplicable(f"every training item has the same observed count ({np.asarray(observed)[0]})")
        centred = x - x.mean()
        slope = float(centred @ (y - y.mean()) / (centred @ centred))
        return cls(intercept=float(y.mean() - slope * x.mean()), slope=slope)

    def predict(self, observed: ArrayLike) -> np.ndarray:
        """Return (n,) predicted counts at the horizon, at least 0, from (n,) counts in the observation window."""
        return np.maximum(np.exp2(self.intercept + self.slope * _log2p1(observed, "observed")) - 1.0, 0.0)


def _log2p1(count: ArrayLike, name: str) -> np.ndarray:
    count = np.asarray(count, np.float64)
    bad = np.flatnonzero(~(np.isfinite(count) & (count >= 0)))
    if count.ndim != 1 or bad.size:
        found = f"row {bad[0]} is {count.flat[bad[0]]}" if bad.size else f"its shape is {count.shape}"
        raise ValueError(f"{name} must hold one count >= 0 per item: {found}")
    return np.log2(1.0 + count)
