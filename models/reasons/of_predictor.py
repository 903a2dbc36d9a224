"""Reasons of one predictor: SHAP values for boosting, leaving out one part or one neighbour at a time for all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from models.baselines import neighbour_mean
from models.predictors.boosting import Boosting
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.predictor import Predictor
from models.predictors.samples import Bank, Samples, batches
from models.reasons.left_out import leave_out
from models.reasons.parts import FEEDBACK, MODALITIES, NEIGHBOURS, part_of
from models.reasons.reasons import Reasons

WINDOWS = 64  # windows taken apart at once, each of which becomes some 15 windows


def reasons_of(
    predictor: Predictor, samples: Samples, bank: Bank, *, base: np.ndarray, device: torch.device | str = "cpu"
) -> Reasons:
    """Return the reasons of a fitted predictor's forecasts.

    Boosting has SHAP values per column, and its base is the model's expectation. Of any other predictor, a part contributes
    the forecast minus the forecast of the same video without the part, made with the masks of a video that really lacks it.
    A predictor whose forecasts depend on other videos' inputs has no parts: its whole difference from the base is the
    remainder.

    Args:
        predictor: A fitted predictor.
        samples: n windows.
        bank: The videos that the neighbours are taken from.
        base: (T,) mean label of the training videos.
        device: Device to compute on.

    Returns:
        The reasons of `predictor.predict(samples, bank)`.
    """
    if isinstance(predictor, Boosting):
        return _shap(predictor, samples, predictor.predict(samples, bank))
    return leave_one_out(
        lambda windows: predictor.predict(windows, bank, device=device),
        samples,
        _parts_read(predictor, samples),
        base=base,
    )


def reasons_of_neighbour_mean(samples: Samples, known: Sequence[np.ndarray]) -> Reasons:
    """Return the reasons of the mean label of the neighbours; without neighbours it is the mean label of the training videos.

    Args:
        samples: n windows.
        known: Per target, the known labels of the training videos.
    """

    def forecast(windows: Samples) -> np.ndarray:
        label, mask = windows.neighbourhood.label, windows.neighbourhood.mask
        columns = [
            neighbour_mean(values, mask & ~np.isnan(values), labels)
            for values, labels in zip(np.moveaxis(label, -1, 0), known, strict=True)
        ]
        return np.column_stack(columns)

    return leave_one_out(forecast, samples, [NEIGHBOURS], base=np.array([labels.mean() for labels in known]))


def leave_one_out(
    forecast: Callable[[Samples], np.ndarray], samples: Samples, parts: Sequence[str], *, base: np.ndarray
) -> Reasons:
    """Return reasons by leaving out one part, or one neighbour, at a time.

    Args:
        forecast: Windows -> forecasts (n, T).
        samples: n windows.
        parts: The parts that the forecast is made from; see `models.reasons.left_out.leave_out`.
        base: (T,) mean label of the training videos.
    """
    whole = forecast(samples)
    of_parts = np.zeros((len(parts), *whole.shape))
    neighbours = np.zeros((*whole.shape, samples.neighbourhood.mask.shape[1]))
    for some in batches(np.arange(len(samples)) if parts else np.array([], np.int64), WINDOWS):
        left = leave_out(samples.take(some), parts)
        window, is_part = some[left.window], left.rank < 0
        change = whole[window] - forecast(left.samples)
        of_parts[left.part[is_part], window[is_part]] = change[is_part]
        neighbours[window[~is_part], :, left.rank[~is_part]] = change[~is_part]
    return Reasons(whole, np.broadcast_to(base, whole.shape), dict(zip(parts, of_parts, strict=True)), neighbours)


def _parts_read(predictor: Predictor, samples: Samples) -> list[str]:
    """Return the parts that a predictor reads of these windows."""
    if not predictor.forecasts_alone:  # it reads other videos too, which would have to lack the part with this one
        return []
    network = predictor.network if isinstance(predictor, NeuralPredictor) else None
    parts = [*MODALITIES]
    if network is not None and network.reads_neighbours:
        parts.append(NEIGHBOURS)
    if samples.table is not None and (network is None or network.reads_tables):
        parts += map(part_of, (*samples.table.numeric_names, *samples.table.categorical_names))
    without_feedback = [part for part in dict.fromkeys(parts) if part != FEEDBACK]
    return [FEEDBACK, *without_feedback] if predictor.sees_feedback else without_feedback


def _shap(predictor: Boosting, samples: Samples, forecast: np.ndarray) -> Reasons:
    values, names = predictor.shap(samples)  # (n, T, columns + 1)
    columns = {name: values[..., place] for place, name in enumerate(names)}
    parts: dict[str, np.ndarray] = {}
    for name, contribution in columns.items():
        part = part_of(name)
        parts[part] = parts.get(part, 0.0) + contribution
    neighbours = np.zeros((*forecast.shape, samples.neighbourhood.mask.shape[1]))
    return Reasons(forecast, values[..., -1], parts, neighbours, columns)
