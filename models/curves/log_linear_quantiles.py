"""Baseline of forecast curves: log-linear extrapolation (Szabo and Huberman 2010) with a normal error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import ndtri

from models.baselines import NotApplicable


@dataclass(frozen=True)
class LogLinearQuantiles:
    """log2(1.5 + later count) = intercept + slope log2(1 + count so far) + a normal error.

    1.5 instead of 1, because scores take the middle of a count's cell [y, y + 1) (`models.curves.scores`).

    Attributes:
        intercept: The line's intercept.
        slope: The line's slope.
        deviation: Standard deviation of the error.
    """

    intercept: float
    slope: float
    deviation: float

    @classmethod
    def fit(cls, early: np.ndarray, late: np.ndarray) -> Self:
        """Fit by least squares, with n - 2 degrees of freedom for the deviation.

        Args:
            early: (m,) counts so far.
            late: (m,) later counts.

        Raises:
            NotApplicable: There are fewer than three items, or all have the same count so far.
        """
        x, y = np.log2(1.0 + early), np.log2(1.5 + late)
        if len(x) < 3 or np.ptp(x) == 0:
            raise NotApplicable("a line needs three items with different counts so far")
        slope, intercept = np.polyfit(x, y, 1)
        error = y - intercept - slope * x
        return cls(float(intercept), float(slope), float(np.sqrt((error**2).sum() / (len(x) - 2))))

    def quantiles(self, early: np.ndarray, levels: Sequence[float]) -> np.ndarray:
        """Return quantiles of the later count (n, Q), none below the count so far (n,)."""
        middle = self.intercept + self.slope * np.log2(1.0 + early)
        values = np.exp2(middle[:, None] + self.deviation * ndtri(levels)) - 1.0
        return np.maximum(values, early[:, None])
