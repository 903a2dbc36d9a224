"""Reasons of the served forecasts: those of every row that takes part, weighted as the rows are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assets.encoding.encoder_choice import device_of
from assets.prediction.forecast import Forecast
from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.served_row import ranked_rows, served_forecasts
from assets.prediction.stacking import stack_forecasts
from assets.prediction.validation import read_validation
from assets.protocol.labels import target_names
from models.predictor_table import LINE, MEAN, NEIGHBOURS, STACK
from models.predictors import Samples
from models.reasons.of_predictor import reasons_of, reasons_of_neighbour_mean
from models.reasons.parts import COUNTED, FEEDBACK
from models.reasons.reasons import Reasons, combine


def served_reasons(rows: ForecastRows, samples: Samples, forecasts: Sequence[Forecast]) -> tuple[Reasons, np.ndarray]:
    """Return the reasons of the served forecasts, as `predictions` serves them.

    A stack's reasons are the weighted sums of its members' reasons, and those of several seeds their mean. A row that was
    raised to the count so far has the part "counted".

    Args:
        rows: The rows of the tables of results.
        samples: n windows.
        forecasts: Every row's forecasts of these windows, from `all_forecasts`.

    Returns:
        The reasons, and the name (n, T) of the row that is served.
    """
    members = [forecast for forecast in forecasts if forecast.row != STACK]
    ranked = ranked_rows(read_validation(rows.store), serve=rows.settings.model.serve)
    names = target_names(rows.store)
    served = np.column_stack(
        [
            served_forecasts(forecasts, ranked[name], column)["model"].to_numpy().astype(object)
            for column, name in enumerate(names)
        ]
    )
    weights = _weights(rows, members, samples, served, names)
    used = [number for number in range(len(members)) if weights[number].any()]
    reasons = [_row_reasons(rows, samples, members[number]) for number in used]
    return combine(reasons, weights[used]), served


def _weights(
    rows: ForecastRows, members: Sequence[Forecast], samples: Samples, served: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Return the weight of each member in the served forecasts, (m, n, T)."""
    weights = np.zeros((len(members), *served.shape))
    for number, member in enumerate(members):
        seeds = sum(other.row == member.row for other in members)
        weights[number] = (served == member.row) / seeds
    if not (served == STACK).any():
        return weights
    table = rows.weights
    for number in range(len(members)):
        # The stack is linear in its members, so a member's weight is the stack of 1 for it and 0 for all others.
        units = [
            Forecast(member.row, member.seed, np.where(np.isnan(member.values), np.nan, float(other == number)))
            for other, member in enumerate(members)
        ]
        by_seed = stack_forecasts(
            table,
            units,
            samples.age,
            targets=names,
            whole=rows.extrapolation.whole,
            seeds=rows.settings.model.seeds,
        )
        stacked = np.mean([forecast.values for forecast in by_seed], axis=0)
        weights[number] = np.where(served == STACK, stacked, weights[number])
    return weights


def _row_reasons(rows: ForecastRows, samples: Samples, forecast: Forecast) -> Reasons:
    """Return the reasons of one row's forecasts, one seed's if it has several."""
    known = [labels[~np.isnan(labels)] for labels in rows.known.T]
    base, neighbours = np.array([labels.mean() for labels in known]), samples.neighbourhood.mask.shape[1]
    if forecast.row in (MEAN, LINE):  # the line is its count
        part = FEEDBACK if forecast.row == LINE else None
        return Reasons.of_one_part(forecast.values, base, part, neighbours=neighbours)
    if forecast.row == NEIGHBOURS:
        reasons = reasons_of_neighbour_mean(samples, known)
    else:
        model = next(model for model in rows.models if (model.title, model.seed) == (forecast.row, forecast.seed))
        predictor = rows.predictor(model)
        reasons = reasons_of(predictor, samples, rows.bank, base=base, device=device_of(rows.settings))
    raised = forecast.values - reasons.forecast
    return reasons.with_part(COUNTED, raised) if raised.any() else reasons
