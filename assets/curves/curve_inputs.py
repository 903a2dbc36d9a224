"""What the curve model reads of observation windows, from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from assets.curves.horizon_counts import (
    HorizonCounts,
    counted_in,
    curve_horizons,
    end_of,
    horizon_counts,
    hours_followed,
)
from assets.curves.simulated_curves import read_simulated, simulate_windows, simulator_of
from assets.memory.memory_bank import open_bank
from assets.prediction.age_weights import age_weights
from assets.prediction.counted import counted_so_far
from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.predictor_inputs import Window
from models.curves import LEVELS
from models.curves.curve_inputs import CurveInputs
from models.curves.simulated_growth import SimulatedGrowth
from models.predictors import Samples
from models.predictors.content_components import ContentComponents

YOUNGEST = 0.25  # share of the first age of `protocol.ages` at which curves have residuals of their own


@dataclass
class CurveInputSource:
    """Reads the inputs of windows; what all windows share is read once.

    Attributes:
        rows: The store, the settings, and feedback and counters, which may hold items that the store lacks.
        content: Principal components of the content.
        stored: Whether simulated quantiles are taken from the stage `simulated_curves`. Otherwise, and for windows that the
            stage lacks, they are simulated now.
    """

    rows: ForecastRows
    content: ContentComponents
    stored: bool = True

    @cached_property
    def horizons(self) -> np.ndarray:
        """(H,) horizons in hours."""
        return curve_horizons(self.rows.settings, self.rows.targets)

    @cached_property
    def as_of(self) -> int | None:
        """End of the data, unix ms."""
        return end_of(self.rows.settings, self.rows.events, self.rows.counters)

    def counts(self, items: list[str]) -> HorizonCounts:
        """Return the counts of items at every horizon."""
        return horizon_counts(
            self.rows.events,
            self.rows.counters,
            self.rows.popularity,
            self.rows.targets,
            self.horizons,
            as_of=self.as_of,
            items=items,
        )

    def inputs(self, samples: Samples, *, so_far: bool = False) -> CurveInputs:
        """Return the inputs of n windows.

        Args:
            samples: The windows.
            so_far: Whether what was counted after the windows, up to the end of the data, is known.
        """
        rows, items, windows = self.rows, samples.items.tolist(), samples.feedback.windows
        protocol = rows.settings.protocol
        hours = np.array([float(window.held["age_hours"]) for window in windows])
        ages = [hour if window.younger else None for hour, window in zip(hours.tolist(), windows, strict=True)]
        counted = self.counted(items, ages)
        now = hours_followed(rows.popularity, items, self.as_of) if so_far else hours
        _, first, video = np.unique(samples.items, return_index=True, return_inverse=True)
        return CurveInputs(
            items=samples.items,
            age=hours,
            weights=age_weights(samples.age, self.grid, whole=protocol.hours if protocol.first_k is None else None),
            table=samples.table.beside(self.content.table(samples.features.take(first)).take(video)),
            counted=counted,
            so_far=counted_so_far(rows.events, rows.counters, rows.popularity, rows.targets, items=items)
            if so_far
            else counted,
            known=self._known(items, now, so_far=so_far),
            neighbours=self._neighbours(samples),
            simulated=self._simulated(items, hours, samples),
        )

    @cached_property
    def grid(self) -> list[float | None]:
        """Ages at which curves are calibrated, ascending: a young one, those of `protocol.ages`, and None for whole windows."""
        ages = self.rows.ages[:-1]
        young = [YOUNGEST * ages[0]] if ages and ages[0] > 0 else []
        return [*young, *ages, None]

    def counted(self, items: list[str], ages: list[float | None]) -> np.ndarray:
        """Return the count of each target in windows of some items at some ages, (n, T); None is an item's own window."""
        rows = self.rows
        return counted_in(
            rows.events,
            rows.counters,
            rows.popularity,
            rows.targets,
            rows.settings.protocol,
            items=items,
            ages=ages,
        )

    def _known(self, items: list[str], now: np.ndarray, *, so_far: bool) -> np.ndarray:
        """Return the counts at horizons up to `now` (n,), (n, T, H)."""
        passed = self.horizons <= now[:, None]
        if so_far:
            return np.where(passed[:, None], self.counts(items).count, np.nan)
        known = np.full((len(items), len(self.rows.targets), len(self.horizons)), np.nan)
        for place in np.flatnonzero(passed.any(0)):
            of = np.flatnonzero(passed[:, place])
            known[of, :, place] = self.counted([items[row] for row in of], [float(self.horizons[place])] * len(of))
        return known

    @cached_property
    def _members(self) -> HorizonCounts:
        return self.counts(open_bank(self.rows.store).items.tolist())

    def _neighbours(self, samples: Samples) -> np.ndarray:
        """Return the mean and the deviation of log2(1 + count) over each window's neighbours, (n, T, H, 2)."""
        near = samples.neighbourhood
        values = np.log2(1.0 + self._members.count[near.index])  # (n, S, T, H)
        seen = near.mask[..., None, None] & ~np.isnan(values)
        if self.rows.settings.protocol.split == "chronological":
            t0 = dict(self.rows.popularity.select("item", "t0").iter_rows())
            asked = np.array([np.inf if t0.get(item) is None else t0[item] for item in samples.items.tolist()])
            seen &= self._members.since[near.index] <= asked[:, None, None, None]
        number = seen.sum(1)
        values = np.where(seen, values, 0.0)
        with np.errstate(invalid="ignore"):
            mean = values.sum(1) / number
            spread = np.sqrt(np.maximum((values**2).sum(1) / number - mean**2, 0.0))
        return np.stack([mean, spread], axis=-1)

    @cached_property
    def simulator(self) -> SimulatedGrowth | None:
        """The fitted process; None if there is none."""
        return simulator_of(self.rows.store, self.rows.settings, self.rows.targets)

    def simulate(self, simulator: SimulatedGrowth, items: list[str], windows: Sequence[Window]) -> np.ndarray:
        """Return the quantiles of the number of new events after some windows, (n, T, H, Q)."""
        followed = dict(zip(items, hours_followed(self.rows.popularity, items, self.as_of), strict=True))
        seed = self.rows.settings.process.seed
        return simulate_windows(simulator, items, windows, followed=followed, seed=seed)[0]

    def _simulated(self, items: list[str], hours: np.ndarray, samples: Samples) -> np.ndarray:
        """Return the quantiles of the number of new events, (n, T, H, Q); NaN without a process."""
        rows, shape = self.rows, (len(self.rows.targets), len(self.horizons))
        values = np.full((len(items), *shape, len(LEVELS)), np.nan)
        if self.stored:
            values = read_simulated(rows.store, items, hours.tolist(), shape)
        lacking = np.flatnonzero(np.isnan(values).all((1, 2, 3))).tolist()
        if self.simulator is not None and lacking:
            windows = [samples.feedback.windows[row] for row in lacking]
            values[lacking] = self.simulate(self.simulator, [items[row] for row in lacking], windows)
        return values
