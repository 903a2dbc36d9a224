"""Forecast curves: quantiles of the cumulative count of each target on a grid of horizons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
QUANTILES = tuple(f"q{round(100 * level):02d}" for level in LEVELS)  # their columns in tables


@dataclass(frozen=True)
class Curves:
    """Forecast quantiles of n windows and T targets.

    Attributes:
        horizons: (H,) hours since t = 0 (publication), ascending.
        levels: (Q,) levels of the quantiles, ascending, between 0 and 1.
        counts: (n, T, H, Q) float64 cumulative counts. They do not fall from one horizon or one level to the next. NaN where
            there is no forecast.

    Raises:
        ValueError: The shapes do not fit, or a curve falls.

    Example:
        >>> import numpy as np
        >>> curves = Curves(np.array([1.0, 24.0]), np.array([0.1, 0.5, 0.9]), np.array([[[[0, 1, 2], [1, 4, 9.0]]]]))
        >>> curves.quantile(0.5).tolist()
        [[[1.0, 4.0]]]
    """

    horizons: np.ndarray
    levels: np.ndarray
    counts: np.ndarray

    def __post_init__(self) -> None:
        """Check the values."""
        if self.counts.ndim != 4 or self.counts.shape[2:] != (len(self.horizons), len(self.levels)):
            wanted = f"(windows, targets, {len(self.horizons)}, {len(self.levels)})"
            raise ValueError(f"counts must be {wanted}, given {self.counts.shape}")
        for name, axis in (("horizon", 2), ("level", 3)):
            steps = np.diff(self.counts, axis=axis)
            for place in np.argwhere(steps < 0)[:1]:
                raise ValueError(f"window {place[0]}: the curve falls from {name} {place[axis]} to the next")

    def quantile(self, level: float) -> np.ndarray:
        """Return the quantile of one of the levels, (n, T, H).

        Raises:
            ValueError: The level is not one of `levels`.
        """
        at = np.flatnonzero(np.isclose(self.levels, level))
        if not len(at):
            raise ValueError(f"level {level} is not among the levels {self.levels.tolist()}")
        return self.counts[..., at[0]]

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.counts)
