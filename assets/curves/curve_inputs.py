"""What the curve model reads of observation windows, from the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from assets.curves.simulated_curves import read_simulated, simulate_windows, simulator_of
from assets.memory.feature_join import blocks
from assets.memory.memory_bank import open_bank
from assets.prediction.age_weights import age_weights
from assets.prediction.counted import counted_at, counted_so_far
from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.predictor_inputs import Window
from assets.protocol.horizon_counts import (
    HorizonCounts,
    curve_horizons,
    end_of,
    horizon_counts,
    hours_followed,
)
from models.curves import LEVELS
from models.curves.curve_inputs import CurveInputs
from models.curves.simulated_growth import SimulatedGrowth
from models.predictors import Samples
from models.predictors.content_components import ContentComponents

YOUNGEST = 0.25  # share of the first age of `protocol.ages` at which curves have residuals of their own


@dataclass(frozen=True)
class ItemFeedback:
    """Feedback and counters of some items.

    Attributes:
        events: Their events: `item`, `user`, `type`, `time` (ms), `order`.
        counters: Their counters: `item`, `metric`, `time` (ms or null), `value`.
        popularity: Their windows; see `assets.protocol.observation.measure_popularity`.
        as_of: Until when the items were followed, unix ms; None if no time is known.
    """

    events: pl.DataFrame
    counters: pl.DataFrame
    popularity: pl.DataFrame
    as_of: int | None


@dataclass
class CurveInputSource:
    """Reads the inputs of windows; what all windows share is read once.

    Attributes:
        rows: The store, the settings, and the feedback of the store's items.
        content: Principal components of the content.
    """

    rows: ForecastRows
    content: ContentComponents

    @cached_property
    def horizons(self) -> np.ndarray:
        """(H,) horizons in hours."""
        return curve_horizons(self.rows.settings, self.rows.targets)

    @cached_property
    def stored(self) -> ItemFeedback:
        """Feedback of the store's items."""
        rows = self.rows
        as_of = end_of(rows.settings, rows.events, rows.counters)
        return ItemFeedback(rows.events, rows.counters, rows.popularity, as_of)

    def counts(self, items: list[str], feedback: ItemFeedback | None = None) -> HorizonCounts:
        """Return the counts of items at every horizon."""
        held = self.stored if feedback is None else feedback
        return horizon_counts(
            held.events,
            held.counters,
            held.popularity,
            self.rows.targets,
            self.horizons,
            as_of=held.as_of,
            items=items,
        )

    def inputs(self, samples: Samples, *, so_far: bool = False, feedback: ItemFeedback | None = None) -> CurveInputs:
        """Return the inputs of n windows.

        Args:
            samples: The windows.
            so_far: Whether what was counted after the windows, until the items were last seen, is known.
            feedback: Feedback of the windows' items; None for items of the store.
        """
        items, windows, protocol = samples.items.tolist(), samples.feedback.windows, self.rows.settings.protocol
        held = self.stored if feedback is None else feedback
        hours = np.array([float(window.held["age_hours"]) for window in windows])
        followed = hours_followed(held.popularity, items, held.as_of)
        _, first, video = np.unique(samples.items, return_index=True, return_inverse=True)
        simulated = self._simulated(items, hours, windows, followed, stored=feedback is None)
        return CurveInputs(
            items=samples.items,
            age=hours,
            weights=age_weights(samples.age, self.grid, whole=protocol.hours if protocol.first_k is None else None),
            table=samples.table.beside(self.content.table(samples.features.take(first)).take(video)),
            counted=samples.counted,
            so_far=counted_so_far(held.events, held.counters, held.popularity, self.rows.targets, items=items)
            if so_far
            else samples.counted,
            known=self._known(items, followed if so_far else hours, feedback, so_far=so_far),
            neighbours=self._neighbours(samples, held),
            simulated=simulated,
        )

    @cached_property
    def grid(self) -> list[float | None]:
        """Ages at which curves are calibrated, ascending: a young one, those of `protocol.ages`, and None for whole windows."""
        ages = self.rows.ages[:-1]
        young = [YOUNGEST * ages[0]] if ages and ages[0] > 0 else []
        return [*young, *ages, None]

    def counted(self, items: list[str], ages: list[float | None], feedback: ItemFeedback | None = None) -> np.ndarray:
        """Return the count of each target in windows of some items at some ages, (n, T); None is an item's own window."""
        held, rows = self.stored if feedback is None else feedback, self.rows
        return counted_at(
            held.events,
            held.counters,
            held.popularity,
            rows.targets,
            rows.settings.protocol,
            items=items,
            ages=ages,
        )

    def _known(self, items: list[str], now: np.ndarray, feedback: ItemFeedback | None, *, so_far: bool) -> np.ndarray:
        """Return the counts at horizons up to `now` (n,), (n, T, H)."""
        passed = self.horizons <= now[:, None]
        if so_far:
            return np.where(passed[:, None], self.counts(items, feedback).count, np.nan)
        known = np.full((len(items), len(self.rows.targets), len(self.horizons)), np.nan)
        for place in np.flatnonzero(passed.any(0)):
            of = np.flatnonzero(passed[:, place])
            ages = [float(self.horizons[place])] * len(of)
            known[of, :, place] = self.counted([items[row] for row in of], ages, feedback)
        return known

    @cached_property
    def members(self) -> HorizonCounts:
        """Counts of the bank's members."""
        return self.counts(open_bank(self.rows.store).items.tolist())

    def _neighbours(self, samples: Samples, held: ItemFeedback) -> np.ndarray:
        """Return the mean and the deviation of log2(1 + count) over each window's neighbours, (n, T, H, 2)."""
        near, members, asked = samples.neighbourhood, self.members, None
        if self.rows.settings.protocol.split == "chronological":
            t0 = dict(held.popularity.select("item", "t0").iter_rows())
            asked = np.array([np.inf if t0.get(item) is None else t0[item] for item in samples.items.tolist()])
        result = np.empty((len(samples), *members.count.shape[1:], 2))
        for block in blocks(len(samples)):  # the counts of all windows' neighbours at once would not fit into memory
            index = near.index[block]
            values = np.log2(1.0 + members.count[index])  # (b, S, T, H)
            seen = near.mask[block][..., None, None] & ~np.isnan(values)
            if asked is not None:
                seen &= members.since[index] <= asked[block][:, None, None, None]
            number = seen.sum(1)
            values = np.where(seen, values, 0.0)
            with np.errstate(invalid="ignore"):
                mean = values.sum(1) / number
                spread = np.sqrt(np.maximum((values**2).sum(1) / number - mean**2, 0.0))
            result[block] = np.stack([mean, spread], axis=-1)
        return result

    @cached_property
    def simulator(self) -> SimulatedGrowth | None:
        """The fitted process; None if there is none."""
        return simulator_of(self.rows.store, self.rows.settings, self.rows.targets)

    def _simulated(
        self, items: list[str], hours: np.ndarray, windows: Sequence[Window], followed: np.ndarray, *, stored: bool
    ) -> np.ndarray:
        """Return the quantiles of the number of new events, (n, T, H, Q); NaN without a process.

        Windows of the store's items are read from `simulated_curves`. Those that it lacks are simulated now.
        """
        shape = (len(self.rows.targets), len(self.horizons))
        values = np.full((len(items), *shape, len(LEVELS)), np.nan)
        if stored:
            values = read_simulated(self.rows.store, items, hours.tolist(), shape)
        lacking = np.flatnonzero(np.isnan(values).all((1, 2, 3)))
        if len(lacking) and self.simulator is not None:
            names, some = [items[row] for row in lacking], [windows[row] for row in lacking]
            values[lacking] = self.simulate(self.simulator, names, some, followed[lacking])
        return values

    def simulate(
        self, simulator: SimulatedGrowth, items: list[str], windows: Sequence[Window], followed: np.ndarray
    ) -> np.ndarray:
        """Return a simulator's quantiles of the number of new events after some windows, (n, T, H, Q)."""
        seed = self.rows.settings.process.seed
        return simulate_windows(simulator, items, windows, followed=followed, seed=seed)[0]
