"""Metrics of many rows of forecasts on the same resampled test sets, without sorting or gathering any forecast again.

A resampled set is a vector of weights: how often each item was drawn. Then nMSE, MAE and PLCC are ratios of weighted sums,
which are one matrix product for all sets. The ranks of SRC follow from cumulative weights in the order of the original values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

SMALLEST = 1e-12  # share of the whole variance below which a resampled set counts as constant


class ResampledMetrics:
    """Test sets that are drawn from n items with replacement; every row of forecasts is scored on the same ones.

    Example:
        >>> import numpy as np
        >>> scored = ResampledMetrics(4, resamples=100).metrics([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0])
        >>> sorted(scored), scored["nMSE"].shape
        (['MAE', 'PLCC', 'SRC', 'nMSE'], (100,))
    """

    def __init__(self, items: int, *, resamples: int = 1000, seed: int = 0) -> None:
        """Draw the sets.

        Args:
            items: n, at least 1.
            resamples: Number of sets.
            seed: Seed of the draw; the sets are those of `models.metrics.bootstrap` with the same seed, up to 2,000 items.
        """
        drawn = np.random.default_rng(seed).integers(0, items, size=(resamples, items))
        flat = (drawn + items * np.arange(resamples)[:, None]).ravel()
        self._weights = np.bincount(flat, minlength=resamples * items).reshape(resamples, items).astype(np.float64)
        self._ranked: tuple[bytes, np.ndarray] | None = None

    def metrics(self, target: ArrayLike, predicted: ArrayLike, *, ranks: bool = True) -> dict[str, np.ndarray]:
        """Return nMSE, SRC, PLCC and MAE of every set, (resamples,) each; NaN where a metric is undefined.

        Args:
            target: (n,) labels.
            predicted: (n,) predictions.
            ranks: Whether to compute SRC, which takes most of the time.
        """
        target, predicted = np.asarray(target, np.float64), np.asarray(predicted, np.float64)
        x, y, error = target - target.mean(), predicted - predicted.mean(), target - predicted
        sums = self._weights @ np.column_stack([x, y, x * x, y * y, x * y, error**2, np.abs(error)]) / len(x)
        of_x, of_y, xx, yy, xy, squared, absolute = sums.T
        spread_x, spread_y = _spread(xx - of_x**2, x), _spread(yy - of_y**2, y)
        return {
            "nMSE": squared / spread_x,
            **({"SRC": self._spearman(target, predicted)} if ranks else {}),
            "PLCC": np.clip((xy - of_x * of_y) / np.sqrt(spread_x * spread_y), -1.0, 1.0),
            "MAE": absolute,
        }

    def _spearman(self, target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        key = target.tobytes()
        if self._ranked is None or self._ranked[0] != key:
            self._ranked = key, self._ranks(target)
        first, second = self._ranked[1], self._ranks(predicted)
        products = (
            np.einsum("rn,rn,rn->r", self._weights, a, b)
            for a, b in ((first, second), (first, first), (second, second))
        )
        both, one, other = products
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((one > 0) & (other > 0), both / np.sqrt(one * other), np.nan)

    def _ranks(self, values: np.ndarray) -> np.ndarray:
        """Return each item's rank in every set, averaged over ties, minus the mean rank, (resamples, n)."""
        order = np.argsort(values, kind="stable")
        starts = np.flatnonzero(np.concatenate([[True], np.diff(values[order]) > 0]))
        drawn = np.add.reduceat(self._weights[:, order], starts, axis=1)  # per distinct value
        middle = np.cumsum(drawn, axis=1) - drawn + (drawn + 1) / 2
        distinct = np.empty(len(values), np.int64)
        distinct[order] = np.repeat(np.arange(len(starts)), np.diff([*starts, len(values)]))
        return (middle - (len(values) + 1) / 2)[:, distinct]


def _spread(variance: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the variances; NaN where they are zero up to rounding."""
    return np.where(variance > SMALLEST * max(values.var(), np.finfo(float).tiny), variance, np.nan)
