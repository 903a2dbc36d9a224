"""Forecast curves that the curve model must beat, for the windows of one age."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from assets.curves.forecast import CurveForecaster
from assets.feedback.hawkes_process import fitted_windows
from assets.prediction.forecast_rows import ForecastRows
from assets.protocol.horizon_counts import hours_followed
from assets.protocol.splits import read_splits
from models import targets as scales
from models.baselines import NotApplicable
from models.curves import LEVELS
from models.curves.curve_inputs import CurveInputs
from models.curves.log_linear_quantiles import LogLinearQuantiles
from models.curves.simulated_growth import SimulatedGrowth
from models.hawkes import ExponentialHawkes, fit
from models.predictor_table import LINE, predictor_class
from models.predictors import Samples

BOOSTING = "boosting"
LINE_ROW = f"{LINE}, normal error"
PROCESS_ROW = "process alone"
BOOSTING_ROW = "conformal boosting"
CLASSICAL_ROW = "classical Hawkes"


@dataclass
class CurveBaselines:
    """Baselines fitted to the training and validation items.

    Attributes:
        forecaster: The curve model, for its inputs.
        validation: The table `validation_items`.
        tested: The table `evaluation_items`.
    """

    forecaster: CurveForecaster
    validation: pl.DataFrame
    tested: pl.DataFrame

    def curves(self, samples: Samples, inputs: CurveInputs, *, age: float | None) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name of each baseline with its quantiles (n, T, H, Q), NaN where it does not apply.

        Args:
            samples: n windows of test items.
            inputs: What the curve model reads of them.
            age: Their age in hours; None for whole windows.
        """
        yield LINE_ROW, self._lines(inputs, age)
        yield PROCESS_ROW, inputs.floor[:, :, None, None] + inputs.simulated
        yield BOOSTING_ROW, self._boosting(inputs, age)
        if self._classical is not None:
            source, items = self.forecaster.source, samples.items.tolist()
            followed = hours_followed(source.stored.popularity, items, source.stored.as_of)
            values = source.simulate(self._classical, items, samples.feedback.windows, followed)
            yield CLASSICAL_ROW, inputs.floor[:, :, None, None] + values

    @cached_property
    def _classical(self) -> SimulatedGrowth | None:
        """A classical process of the same windows, simulated to every horizon; None if not asked for or without events."""
        settings, simulator = self._rows.settings, self.forecaster.source.simulator
        if not settings.curves.classical or simulator is None:
            return None
        train, dev, types, *_ = fitted_windows(self._rows.store, settings, read_splits(self._rows.store))
        process = ExponentialHawkes(len(types))
        fit(process, train.batch(), dev.batch())
        return replace(simulator, process=process, simulated=np.ones_like(simulator.simulated))

    @cached_property
    def _training(self) -> tuple[list[str], np.ndarray]:
        items = self._rows.training["item"].to_list()
        return items, self.forecaster.source.counts(items).count

    @property
    def _rows(self) -> ForecastRows:
        return self.forecaster.source.rows

    def _lines(self, inputs: CurveInputs, age: float | None) -> np.ndarray:
        items, counts = self._training
        early = self.forecaster.source.counted(items, [age] * len(items))
        values = np.full((*counts.shape[1:], len(inputs), len(LEVELS)), np.nan)
        for target, horizon in np.ndindex(counts.shape[1:]):
            known = ~np.isnan(counts[:, target, horizon]) & ~np.isnan(early[:, target])
            try:
                line = LogLinearQuantiles.fit(early[known, target], counts[known, target, horizon])
            except NotApplicable:
                continue
            values[target, horizon] = line.quantiles(inputs.counted[:, target], LEVELS)
        return np.moveaxis(values, 2, 0)

    def _boosting(self, inputs: CurveInputs, age: float | None) -> np.ndarray:
        """Return boosting's forecasts at the targets' horizons, with split-conformal residuals of the validation items."""
        title, targets, scale = predictor_class(BOOSTING).title, self._rows.targets, self._rows.settings.protocol.target
        values = np.full((len(inputs), len(targets), len(self.forecaster.source.horizons), len(LEVELS)), np.nan)
        for column, target in enumerate(targets):
            own = (pl.col("predictor") == title) & (pl.col("target_name") == target.name)
            parts = [
                frame.filter(own & pl.col("age_hours").eq_missing(pl.lit(age, pl.Float64)))
                .group_by("item", maintain_order=True)
                .agg(pl.col("target").first(), pl.col("predicted").mean())
                for frame in (self.validation, self.tested)
            ]
            if min(map(len, parts)) == 0:
                continue
            (observed, fitted), (_, forecast) = (
                (
                    np.log2(1.5 + scales.inverse(part["target"], scale)),
                    np.log2(1.0 + scales.inverse(part["predicted"], scale)),
                )
                for part in parts
            )
            residuals = np.quantile(observed - fitted, LEVELS, method="weibull")  # the i-th of n stands for i / (n + 1)
            place = {item: row for row, item in enumerate(parts[1]["item"])}
            rows = np.array([place.get(item, -1) for item in inputs.items.tolist()])
            counts = np.exp2(forecast[rows, None] + residuals) - 1.0
            horizon = np.flatnonzero(self.forecaster.source.horizons == (target.hours or np.inf))[0]
            values[:, column, horizon] = np.where(rows[:, None] >= 0, counts, np.nan)
        return np.maximum(values, inputs.floor[:, :, None, None])
