"""The table of forecasts per item, target, age, row and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.prediction.forecast import Forecast
from assets.protocol.labels import matrix, read_labels, target_names
from assets.settings import Settings
from models import targets
from models.predictor_table import MEAN
from models.predictors import Samples
from storage.store import Store

KEYS = ("predictor", "seed", "target_name", "age_hours")


def item_forecasts(
    store: Store, settings: Settings, samples: Samples, forecasts: Sequence[Forecast], *, age: float | None
) -> pl.DataFrame:
    """Return one row per forecast of an item whose label is known.

    Args:
        store: The store.
        settings: The settings.
        samples: n labelled windows.
        forecasts: Forecasts of these windows, the training mean among them. An item to which a row does not apply (NaN) gets
            the training mean there, so that all rows are scored on the same items. A row that applies to no item is left out.
        age: Age of the windows in hours; None for whole windows.

    Returns:
        `predictor`, `seed`, `target_name`, `item`, `target` and `predicted` on the scale of the targets, `count` and
        `predicted_count`, `age_hours`.
    """
    scale, frames = settings.protocol.target, []
    mean = next(forecast.values for forecast in forecasts if forecast.row == MEAN)
    counts = matrix(read_labels(store), samples.items.tolist(), "count")
    for forecast in forecasts:
        for column, name in enumerate(target_names(store)):
            known = ~np.isnan(samples.target[:, column])
            predicted = forecast.values[known, column]
            if np.isnan(predicted).all():
                continue
            predicted = np.where(np.isnan(predicted), mean[known, column], predicted)
            frames.append(
                pl.DataFrame(
                    {
                        "predictor": forecast.row,
                        "seed": forecast.seed,
                        "target_name": name,
                        "item": samples.items[known].tolist(),
                        "target": samples.target[known, column],
                        "predicted": predicted,
                        "count": counts[known, column],
                        "predicted_count": targets.inverse(predicted, scale),
                        "age_hours": age,
                    },
                    schema_overrides={"seed": pl.Int64, "age_hours": pl.Float64},
                )
            )
    return pl.concat(frames)
