"""Log-linear extrapolation of the count so far, with a line per target and age."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assets.prediction.age_weights import age_weights
from models import targets
from models.baselines import LogLinear, NotApplicable


@dataclass(frozen=True)
class Extrapolation:
    """Lines from the count at an age to the count at the horizon.

    Attributes:
        grid: Ages of the lines in hours, ascending; the last is None for complete windows.
        lines: Per grid age and target, the fitted line or the reason why there is none.
        whole: Length of a complete window in hours, or None if there is no common length.
        scale: Scale of the targets.
    """

    grid: Sequence[float | None]
    lines: Sequence[Sequence[LogLinear | NotApplicable]]
    whole: float | None
    scale: targets.Transform

    @classmethod
    def fit(
        cls,
        counts: dict[float | None, tuple[np.ndarray, np.ndarray]],
        *,
        whole: float | None,
        scale: targets.Transform,
    ) -> Extrapolation:
        """Fit a line per age and target.

        Args:
            counts: Age -> counts (m, T) of training items at that age, and at the horizon (NaN where unknown). Ages ascend;
                None, for complete windows, is last.
            whole: Length of a complete window in hours, or None if there is no common length.
            scale: Scale of the targets.
        """
        lines = [
            [_line(seen, final) for seen, final in zip(early.T, late.T, strict=True)] for early, late in counts.values()
        ]
        return cls(list(counts), lines, whole, scale)

    def predict(self, counts: np.ndarray, ages: np.ndarray) -> np.ndarray:
        """Return forecasts, interpolated between the lines of the nearest ages.

        Args:
            counts: (n, T) counts so far; NaN where unknown.
            ages: (n,) hours since t = 0; NaN for a complete window.

        Returns:
            (n, T) on the scale of the targets; NaN where the count is unknown or a line that is needed does not exist.
        """
        weights = age_weights(ages, self.grid, whole=self.whole)
        forecast = np.zeros(counts.shape)
        for place, by_target in enumerate(self.lines):
            used = weights[:, place] > 0
            for column, line in enumerate(by_target):
                values = np.full(used.sum(), np.nan)
                known = ~np.isnan(counts[used, column])
                if isinstance(line, LogLinear):
                    late = line.predict(counts[used, column][known])
                    values[known] = targets.forward(np.maximum(late, targets.smallest_count(self.scale)), self.scale)
                forecast[used, column] += weights[used, place] * values
        return forecast


def _line(early: np.ndarray, late: np.ndarray) -> LogLinear | NotApplicable:
    known = np.isfinite(early) & np.isfinite(late)
    try:
        return LogLinear.fit(early[known], late[known])
    except NotApplicable as reason:
        return reason
