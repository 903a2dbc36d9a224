"""Forecasts of some windows by every row of the tables of results, from what was fitted; the store takes no part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from assets.prediction.counted import at_least
from assets.prediction.extrapolation import Extrapolation
from assets.prediction.forecast import Forecast
from assets.prediction.trained_models import TrainedModel
from models import targets
from models.baselines import neighbour_mean, training_mean
from models.predictor_table import LINE, MEAN, NEIGHBOURS
from models.predictors import Predictor, Samples


@dataclass(frozen=True)
class TrivialRows:
    """What the trivial rows were fitted to.

    Attributes:
        means: Mean label of the training items per target, on the target's scale.
        extrapolation: The lines of the log-linear extrapolation.
    """

    means: Sequence[float]
    extrapolation: Extrapolation


def row_order(models: Iterable[TrainedModel]) -> list[TrainedModel]:
    """Return models in the order of their rows: the last of `model.train` first, each with its seeds."""
    models = list(models)
    names = reversed(dict.fromkeys(model.name for model in models))
    return [model for name in names for model in models if model.name == name]


def row_forecasts(
    samples: Samples,
    floor: np.ndarray,
    trivial: TrivialRows,
    models: Iterable[tuple[TrainedModel, Predictor, np.ndarray]],
    *,
    scale: targets.Transform,
) -> list[Forecast]:
    """Return the forecasts of every row but the stack, the simplest first.

    Args:
        samples: n windows, with their counts.
        floor: (n, T) counts that no forecast lies below. Two rows are not raised: the training mean, and models that see no
            feedback.
        trivial: What the trivial rows were fitted to.
        models: Each trained model with its predictor and its forecasts (n, T), in the order of `row_order`.
        scale: Scale of the targets.
    """
    means, around = [], []
    for column, mean in enumerate(trivial.means):
        label = samples.neighbourhood.label[..., column]
        means.append(training_mean([mean], len(samples)))
        around.append(neighbour_mean(label, samples.neighbourhood.mask & ~np.isnan(label), [mean]))
    rows = [
        Forecast(MEAN, None, np.column_stack(means)),
        Forecast(NEIGHBOURS, None, at_least(np.column_stack(around), floor, scale)),
    ]
    line = trivial.extrapolation.predict(samples.counted, samples.age)
    if np.isfinite(line).any():
        rows.append(Forecast(LINE, None, at_least(line, floor, scale)))
    for model, predictor, values in models:
        raised = at_least(values, floor, scale) if predictor.sees_feedback else values
        rows.append(Forecast(model.title, model.seed, raised))
    return rows
