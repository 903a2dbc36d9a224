"""The table of forecasts per item, target, age, row and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from assets.prediction.forecast import Forecast
from assets.protocol.labels import matrix, read_labels, target_names
from assets.settings import Settings
from models import targets
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
        forecasts: Forecasts of these windows. A forecast that is NaN for any known label of a target is left out there.
        age: Age of the windows in hours; None for whole windows.

    Returns:
        `predictor`, `seed`, `target_name`, `item`, `target` and `predicted` on the scale of the targets, `count` and
        `predicted_count`, `age_hours`.
    """
    scale, frames = settings.protocol.target, []
    counts = matrix(read_labels(store), samples.items.tolist(), "count")
    for forecast in forecasts:
        for column, name in enumerate(target_names(store)):
            known = ~np.isnan(samples.target[:, column])
            predicted = forecast.values[known, column]
            if not len(predicted) or np.isnan(predicted).any():
                continue
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
