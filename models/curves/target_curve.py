"""The curve of one target: which forecast serves at each age and horizon, and the residuals that calibrate it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from models.curves.curves import LEVELS
from models.curves.residual_quantiles import residual_quantiles
from models.curves.scores import crps

NARROWEST = 0.1  # smallest spread of simulated continuations, on the scale log2(1 + growth)
MOST = 4000  # windows that calibrate one age and horizon
HALVES = 2  # parts of the items in the cross-validation of candidates


@dataclass(frozen=True)
class Candidate:
    """A way to combine the regression and the simulated process.

    Attributes:
        share: Weight of the process's median; the regression has the rest.
        scale: What residuals are divided by: nothing, the size that the regression expects of them, or the spread of the
            process's continuations.
    """

    share: float
    scale: Literal["constant", "regression", "process"]

    def __str__(self) -> str:
        """Return the name in tables."""
        parts = {"process": self.share, "regression": 1.0 - self.share}
        name = " + ".join(part if weight == 1 else f"{weight:.0%} {part}" for part, weight in parts.items() if weight)
        return name if self.scale == "constant" else f"{name}, scaled by {self.scale}"


CANDIDATES = (
    Candidate(0.0, "constant"),
    *(Candidate(share, "regression") for share in (0.0, 0.25, 0.5, 0.75)),
    Candidate(1.0, "constant"),
    Candidate(1.0, "process"),
)
NONE = -1  # no candidate: too few items were followed so long


@dataclass(frozen=True)
class Sources:
    """Forecasts of growth by both sources, for n windows and H horizons, on the scale log2(1 + growth).

    Attributes:
        regression: (n, H) forecasts of the regression; NaN where the horizon has passed.
        error: (n, H) size of the error that the regression expects; NaN as above.
        simulated: (n, H, Q) quantiles of the process; NaN where there is no process.
    """

    regression: np.ndarray
    error: np.ndarray
    simulated: np.ndarray

    def take(self, rows: np.ndarray) -> Sources:
        """Return some windows."""
        return Sources(self.regression[rows], self.error[rows], self.simulated[rows])

    @classmethod
    def concatenate(cls, parts: Sequence[Sources]) -> Sources:
        """Return the windows of several parts, one after the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def combined(self, candidate: Candidate, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the forecast (n,) and the scale of its residuals (n,) of a candidate at a horizon."""
        middle, regression = self.simulated[:, horizon, len(LEVELS) // 2], self.regression[:, horizon]
        forecast = regression if not candidate.share else (1 - candidate.share) * regression + candidate.share * middle
        if candidate.scale == "constant":
            return forecast, np.ones(len(forecast))
        if candidate.scale == "regression":
            return forecast, self.error[:, horizon]
        return forecast, np.maximum(self.simulated[:, horizon, -2] - self.simulated[:, horizon, 1], NARROWEST)


@dataclass(frozen=True)
class TargetCurve:
    """Calibrated quantiles of one target.

    Attributes:
        chosen: (G, H) number of the candidate per grid age and horizon, or `NONE`.
        scores: (G, H, C) cross-validated CRPS of each candidate, NaN where it does not apply.
        sources: Forecasts of the m calibration windows.
        growth: (m, H) their observed log2(1 + growth); NaN where unknown.
        weights: (m, G) weight of each window at each grid age.
    """

    chosen: np.ndarray
    scores: np.ndarray
    sources: Sources
    growth: np.ndarray
    weights: np.ndarray

    @classmethod
    def fit(
        cls,
        sources: Sources,
        growth: np.ndarray,
        weights: np.ndarray,
        *,
        items: np.ndarray,
        counted: np.ndarray,
        enough: np.ndarray,
    ) -> TargetCurve:
        """Choose the candidate with the lowest cross-validated CRPS at each grid age and horizon.

        Args:
            sources: Forecasts of m windows by models that were not fitted on their items.
            growth: (m, H) observed log2(1 + growth); NaN where unknown.
            weights: (m, G) weights at the grid ages.
            items: (m,) id of each window's video.
            counted: (m,) count at the end of each window.
            enough: (G, H) bool, where enough items were followed.
        """
        half = np.unique(items, return_inverse=True)[1] % HALVES
        chosen = np.full(enough.shape, NONE)
        scores = np.full((*enough.shape, len(CANDIDATES)), np.nan)
        for age, horizon in np.argwhere(enough):
            known = _calibrating(growth[:, horizon], weights[:, age])
            part, observed = sources.take(known), growth[known, horizon]
            for number, candidate in enumerate(CANDIDATES):
                forecast, scale = part.combined(candidate, horizon)
                if np.isnan(forecast).any() or np.isnan(scale).any():
                    continue
                quantiles = np.empty((len(observed), len(LEVELS)))
                for test in range(HALVES):
                    left_out = half[known] == test
                    quantiles[left_out] = _around(
                        forecast, scale, observed, weights[known, age], fit=~left_out, at=left_out
                    )
                scale_of_counts = [_log_count(values, counted[known]) for values in (quantiles.T, observed)]
                losses = crps(scale_of_counts[0].T, LEVELS, scale_of_counts[1])
                scores[age, horizon, number] = np.average(losses, weights=weights[known, age])
            chosen[age, horizon] = np.nanargmin(scores[age, horizon])
        return cls(chosen, scores, sources, growth, weights)

    def quantiles(self, sources: Sources, weights: np.ndarray) -> np.ndarray:
        """Return quantiles of log2(1 + growth) of n windows, (n, H, Q).

        At a horizon without a candidate they are the process's own, or NaN where there is no process.

        Args:
            sources: Forecasts of the windows.
            weights: (n, G) weights of the windows at the grid ages.
        """
        values = sources.simulated.copy()
        for horizon in np.flatnonzero((self.chosen != NONE).any(0)):
            usable = weights * (self.chosen[:, horizon] != NONE)  # ages before the horizon
            total = usable.sum(1)
            served = (total > 0) & ~np.isnan(sources.regression[:, horizon])
            values[served, horizon] = 0.0
            for age in np.flatnonzero(self.chosen[:, horizon] != NONE):
                rows = np.flatnonzero(served & (usable[:, age] > 0))
                if not len(rows):
                    continue
                known = _calibrating(self.growth[:, horizon], self.weights[:, age])
                candidate = CANDIDATES[self.chosen[age, horizon]]
                forecast, scale = self.sources.take(known).combined(candidate, horizon)
                at, at_scale = sources.take(rows).combined(candidate, horizon)
                residuals = (self.growth[known, horizon] - forecast) / scale
                around = residual_quantiles(residuals, forecast, self.weights[known, age], at=at, levels=LEVELS)
                share = (usable[rows, age] / total[rows])[:, None]
                values[rows, horizon] += share * (at[:, None] + at_scale[:, None] * around)
        return values


def _calibrating(growth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the numbers of the windows that calibrate a horizon at an age: at most `MOST`, evenly chosen."""
    known = np.flatnonzero(~np.isnan(growth) & (weights > 0))
    return known if len(known) <= MOST else known[np.linspace(0, len(known) - 1, MOST).round().astype(int)]


def _around(
    forecast: np.ndarray,
    scale: np.ndarray,
    observed: np.ndarray,
    weights: np.ndarray,
    *,
    fit: np.ndarray,
    at: np.ndarray,
) -> np.ndarray:
    residuals = (observed - forecast)[fit] / scale[fit]
    around = residual_quantiles(residuals, forecast[fit], weights[fit], at=forecast[at], levels=LEVELS)
    return forecast[at, None] + scale[at, None] * around


def _log_count(growth: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return log2(1 + count) from log2(1 + growth) (..., n) and the counts so far (n,)."""
    return np.log2(counted + np.exp2(np.maximum(growth, 0.0)))
