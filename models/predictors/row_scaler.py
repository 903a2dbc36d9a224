"""Scale of vectors that may lack values: standardised channels, with 0 for an unknown value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.predictors.standardise import Standardiser


@dataclass(frozen=True)
class RowScaler:
    """Mean and deviation of each channel's known values.

    Attributes:
        mean: (d,) mean; 0 for a channel without a known value.
        scale: (d,) population deviation; 1 where it is 0.

    Example:
        >>> scaler = RowScaler.fit(np.array([[1.0], [3.0], [np.nan]]))
        >>> scaler.transform(np.array([[5.0], [np.nan]])).ravel().tolist()
        [3.0, 0.0]
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray) -> RowScaler:
        """Fit to training rows (n, d); NaN is ignored."""
        layer = Standardiser(rows.shape[1])
        layer.fit(rows)
        return cls(layer.mean.double().numpy(), layer.scale.double().numpy())

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, d), standardised; an unknown value becomes 0, the mean of the training rows."""
        return np.nan_to_num((rows - self.mean) / self.scale, nan=0.0)


def compress(values: np.ndarray) -> np.ndarray:
    """Return sign(x) log(1 + |x|) of each value, which brings counts from 0 to millions to one scale."""
    return np.sign(values) * np.log1p(np.abs(values))
