"""Quantiles of a window's future count from simulated continuations of a point process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.curves.count_cells import quantiles_of_counts
from models.curves.curves import LEVELS
from models.hawkes.process import PointProcess
from models.predictors.feedback import Feedback
from models.simulated_counts import simulate_counts


@dataclass(frozen=True)
class SimulatedGrowth:
    """Quantiles of the number of new events after a window's end.

    Attributes:
        process: The fitted process.
        counted: (T, k) bool, the event types that each target counts. A target without one has no quantiles.
        horizons: (H,) hours since t = 0, ascending; the last may be infinite and stands for the end of the data.
        simulated: (H,) bool, the horizons up to which the process is continued.
        continuations: Number of simulated continuations per window.
    """

    process: PointProcess
    counted: np.ndarray
    horizons: np.ndarray
    simulated: np.ndarray
    continuations: int

    def quantiles(self, feedback: Feedback, *, seeds: Sequence[int], ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Simulate the continuations of b windows.

        Args:
            feedback: Feedback of the windows.
            seeds: One seed per window.
            ends: (b,) hours since t = 0 at the end of the data.

        Returns:
            (b, T, H, Q) float32 quantiles at `LEVELS`; NaN for a target without event types, at horizons not simulated,
            and for windows that end after the last simulated horizon. And (b,) the share of continuations that stopped at the
            largest number of events.
        """
        values = np.full((len(ends), len(self.counted), len(self.horizons), len(LEVELS)), np.nan, np.float32)
        capped, horizons = np.zeros(len(ends)), self.horizons[self.simulated]
        age = feedback.completed.age.numpy()
        until = np.where(np.isfinite(horizons), horizons, ends[:, None])  # (b, h)
        young = np.flatnonzero((until > age[:, None]).any(1))
        if not len(young):
            return values, capped
        until, rows = until[young], torch.from_numpy(young)
        order = np.argsort(until, axis=1)
        found = simulate_counts(
            self.process,
            feedback.observed[rows],
            torch.from_numpy(np.take_along_axis(until, order, axis=1)),
            counted=torch.from_numpy(self.counted),
            continuations=self.continuations,
            seeds=[seeds[row] for row in young],
            counted_from=feedback.completed.age[rows],
        )
        counts = np.empty_like(found.counts)
        np.put_along_axis(counts, order[:, None, :, None], found.counts, axis=2)
        values[np.ix_(young, range(len(self.counted)), np.flatnonzero(self.simulated))] = quantiles_of_counts(
            np.moveaxis(counts, -1, 1), LEVELS
        )
        values[:, ~self.counted.any(1)] = np.nan
        capped[young] = found.capped.mean(1)
        return values, capped
