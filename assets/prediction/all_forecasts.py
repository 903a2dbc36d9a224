"""Forecasts of every row, the stack included."""

from __future__ import annotations

import numpy as np

from assets.prediction.forecast import Forecast
from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.kept_forecasts import KeptForecasts
from assets.prediction.stacking import stack_forecasts
from models.predictor_table import STACK
from models.predictors import Samples


def all_forecasts(
    rows: ForecastRows,
    samples: Samples,
    *,
    floor: np.ndarray | None = None,
    kept: KeptForecasts | None = None,
) -> list[Forecast]:
    """Return the forecasts of every row, the simplest first; see `ForecastRows.forecasts`."""
    forecasts, settings = rows.forecasts(samples, floor=floor, kept=kept), rows.settings
    if STACK not in settings.model.train:
        return forecasts
    stacked = stack_forecasts(
        rows.weights,
        forecasts,
        samples.age,
        targets=[target.name for target in rows.targets],
        whole=rows.extrapolation.whole,
        seeds=settings.model.seeds,
    )
    return [*forecasts, *stacked]
