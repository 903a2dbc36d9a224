"""The parameters of a fitted process as a table, with standard errors for the classical process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
import torch

from models.events import EventBatch
from models.hawkes.bounded_newton import Quadratic
from models.hawkes.classical_fit import batches_of_likelihood, limits_of, parameters_of, score_of
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events
from models.hawkes.poisson import PoissonProcess
from models.hawkes.scoring import Likelihood, Limits, Parameters
from models.hawkes.stability import spectral_radius_slope

STEP = 1e-4  # of a log decay rate, to differentiate the gradient
AT_BOUND = 1e-6  # relative distance from a bound below which a parameter counts as being at it


@dataclass(frozen=True)
class ParameterEstimate:
    """One parameter of a fitted process.

    Attributes:
        name: The parameter, such as "baseline of like" or "offspring of share per like".
        value: Its estimate.
        error: Its standard error; NaN where there is none.
        low: Lower end of the confidence interval; NaN where there is none.
        high: Upper end of the confidence interval; NaN where there is none.
    """

    name: str
    value: float
    error: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class ProcessSummary:
    """A fitted process in numbers; `str()` gives a table.

    Attributes:
        title: The process's class.
        sequences: Number of sequences.
        events: Number of events that the likelihood scores.
        log_likelihood: Log-likelihood per event, in nats.
        level: Level of the confidence intervals.
        parameters: The parameters.
        notes: What a reader must know about the errors.
    """

    title: str
    sequences: int
    events: int
    log_likelihood: float
    level: float
    parameters: list[ParameterEstimate]
    notes: list[str] = field(default_factory=list)

    def records(self) -> list[dict[str, Any]]:
        """Return one mapping per parameter, as polars' and pandas' `DataFrame` take them."""
        return [asdict(estimate) for estimate in self.parameters]

    def __str__(self) -> str:
        """Return the summary as text."""
        wide = max((len(estimate.name) for estimate in self.parameters), default=0)
        head = f"{'':{wide}}  {'estimate':>10}  {'std. error':>10}  {f'{self.level:.0%} interval':>23}"
        lines = [
            f"{self.title}: {self.events} events of {self.sequences} sequences, {self.log_likelihood:.4f} nats per event",
            head,
        ]
        for one in self.parameters:
            line = f"{one.name:{wide}}  {one.value:10.4g}"
            if math.isfinite(one.error):
                line += f"  {one.error:10.2g}  [{one.low:10.4g}, {one.high:9.4g}]"
            lines.append(line)
        return "\n".join([*lines, *self.notes])


def summary(
    process: ExponentialHawkes | PoissonProcess,
    events: EventBatch,
    *,
    window: str = "observation",
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> ProcessSummary:
    """Return the parameters of a fitted process, with standard errors for the classical process.

    The standard errors come from the observed information, minus the Hessian of the log-likelihood (Ogata 1978). Intervals of
    baselines and decay rates are symmetric on the logarithm's scale. Those of offspring numbers and of the branching ratio are
    symmetric and cut at 0. A parameter at a bound (an influence of 0, a decay rate at the end of its range) is taken as
    known, because its error is not normal.

    Args:
        process: An ExponentialHawkes or PoissonProcess, fitted. A neural process has no parameters that a reader could
            interpret one by one; see `influence_graph` and `models.pictures.draw_terms`.
        events: The sequences that it was fitted to.
        window: The window that it was fitted with: "observation" (default) or "events".
        names: (k,) names of the types; by default their numbers.
        level: Level of the confidence intervals, in (0, 1).

    Returns:
        The summary. Baselines are events per unit of time, offspring are the expected direct offspring of an event, and decay
        rates are per unit of time. The branching ratio's error is that of its linear approximation.

    Raises:
        TypeError: If the process is neither of the two.
        ValueError: If there is not one name per type, or the level is outside (0, 1).

    Example:
        >>> from models.hawkes import ExponentialHawkes, fit, summary
        >>> from models.thinning import simulate
        >>> empty = EventBatch.from_sequences([[]] * 60, [[]] * 60, t_end=[0.0] * 60)
        >>> data = simulate(ExponentialHawkes(1), empty, until=20.0, seeds=range(60))
        >>> process = ExponentialHawkes(1)
        >>> report = fit(process, data)
        >>> [estimate.name for estimate in summary(process, data, names=["like"]).parameters]
        ['baseline of like', 'offspring like per like', 'decay rate of like after like', 'branching ratio']
    """
    names = [str(kind) for kind in range(process.num_types)] if names is None else list(names)
    if len(names) != process.num_types:
        raise ValueError(f"names must have one name per type; given {len(names)} names for {process.num_types} types")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; given {level}")
    if isinstance(process, ExponentialHawkes):
        estimates, notes = _classical(process, events, window, names, level)
    elif isinstance(process, PoissonProcess):
        estimates, notes = _poisson(process, names), []
    else:
        raise TypeError(f"summary() takes an ExponentialHawkes or a PoissonProcess; given {type(process).__name__}")
    scored, score = int(counted_events(events, window).sum()), score_of(process, events, window)
    return ProcessSummary(type(process).__name__, len(events), scored, score, level, estimates, notes)


@torch.no_grad()
def _poisson(process: PoissonProcess, names: list[str]) -> list[ParameterEstimate]:
    parts = ("prior shape", process.log_shape), ("prior exposure", process.log_exposure)
    return [
        ParameterEstimate(f"{what} of {name}", float(value))
        for what, logs in parts
        for name, value in zip(names, logs.exp())
    ]


def _classical(
    process: ExponentialHawkes, events: EventBatch, window: str, names: list[str], level: float
) -> tuple[list[ParameterEstimate], list[str]]:
    k, decays, shared = process.num_types, process.excitation.decays, process.excitation.shared
    point, limits = parameters_of(process), limits_of(events, k, decays, window)
    likelihood = Likelihood(batches_of_likelihood(events, k, decays), window, k, decays, shared=shared)
    free, known = _free(point, limits)
    covariance = _covariance(likelihood, point, free)
    flat = np.concatenate([point.baseline, point.branching.ravel(), np.exp(point.log_rate).ravel()])
    errors = np.full(len(flat), np.nan)
    variance = np.diagonal(covariance)
    errors[free] = np.sqrt(np.where(variance > 0, variance, np.nan))
    offspring = slice(k, k + point.branching.size)
    errors[offspring.stop :] *= flat[offspring.stop :]  # from those of the log rates
    can_be_zero = np.zeros(len(flat), bool)
    can_be_zero[offspring] = True
    quantile = NormalDist().inv_cdf(0.5 + level / 2)
    labels = _labels(names, decays, shared=shared)
    estimates = [_estimate(*one, quantile) for one in zip(labels, flat, errors, can_be_zero)]
    estimates.append(_branching_ratio(point, free, covariance, decays, quantile))
    notes = []
    if known:
        notes.append(f"{known} parameters at a bound are taken as known; they have no standard error.")
    if not (variance > 0).all():
        notes.append(
            "Some parameters have no standard error: the process is not at its maximum, or the data do not tell."
        )
    return estimates, notes


def _estimate(name: str, value: float, error: float, can_be_zero: bool, quantile: float) -> ParameterEstimate:
    """Return an estimate whose interval is symmetric, cut at 0, or symmetric on the logarithm's scale if it cannot be 0."""
    value, error = float(value), float(error)
    if not math.isfinite(error):
        return ParameterEstimate(name, value)
    if can_be_zero:
        return ParameterEstimate(name, value, error, max(value - quantile * error, 0.0), value + quantile * error)
    factor = math.exp(min(quantile * error / value, 700.0))
    return ParameterEstimate(name, value, error, value / factor, value * factor)


def _labels(names: list[str], decays: int, *, shared: bool) -> list[str]:
    pairs = [(target, source) for target in names for source in names]
    of = [""] if decays == 1 else [f", kernel {number + 1}" for number in range(decays)]
    labels = [f"baseline of {name}" for name in names]
    labels += [f"offspring {target} per {source}{kernel}" for target, source in pairs for kernel in of]
    if shared:
        return labels + [f"decay rate{kernel}" for kernel in of]
    return labels + [f"decay rate of {target} after {source}{kernel}" for target, source in pairs for kernel in of]


def _free(point: Parameters, limits: Limits) -> tuple[np.ndarray, int]:
    """Return which parameters are estimated, flat, and the number of those at a bound.

    The decay rate of an influence of 0 has no effect; it is not counted as one at a bound.
    """
    baseline = point.baseline > limits.floor * (1 + AT_BOUND)
    branching = limits.free & (point.branching > AT_BOUND)
    inside = (point.log_rate > limits.slow + AT_BOUND) & (point.log_rate < limits.fast - AT_BOUND)
    if point.log_rate.shape == branching.shape:
        used = branching
    else:  # rates that are common to all pairs
        used = branching.reshape(-1, point.log_rate.shape[1]).any(0)[None]
    free = np.concatenate([baseline, branching.ravel(), (inside & used).ravel()])
    return free, int((~baseline).sum() + (~branching).sum() + (used & ~inside).sum())


def _covariance(likelihood: Likelihood, point: Parameters, free: np.ndarray) -> np.ndarray:
    """Return the covariance of the free parameters (baseline, branching, log rates); NaN if the information is singular."""
    k, width = likelihood.num_types, likelihood.num_types * likelihood.decays
    models = likelihood.evaluate(point, list(range(k)))[1]
    _differentiate_by_rates(likelihood, point, models)
    information = np.zeros((len(free), len(free)))
    for kind, model in models.items():
        levels = np.concatenate([[kind], k + kind * width + np.arange(width)])
        first = k + k * width + (0 if likelihood.shared else kind * width)
        rates = first + np.arange(len(model.corner))
        information[np.ix_(levels, levels)] += model.blocks[0]
        information[np.ix_(levels, rates)] += model.borders[0]
        information[np.ix_(rates, levels)] += model.borders[0].T
        information[np.ix_(rates, rates)] += model.corner
    information = information[np.ix_(free, free)]
    scale = np.sqrt(np.abs(np.diagonal(information)))  # parameters have different units
    with np.errstate(invalid="ignore", divide="ignore"):
        scales = np.outer(scale, scale)
        try:
            return np.linalg.inv(information / scales) / scales
        except np.linalg.LinAlgError:
            return np.full_like(information, np.nan)


def _differentiate_by_rates(likelihood: Likelihood, point: Parameters, models: dict[int, Quadratic]) -> None:
    """Replace the parts of the models that involve decay rates by the exact second derivatives, in place.

    They are central differences of the gradient. A rate that belongs to one type only changes that type's gradient, so the
    same column of all types is moved at once.
    """
    kinds = list(models)
    for column in range(point.log_rate.shape[1]):
        ends = []
        for sign in (1, -1):
            moved = point.copy()
            moved.log_rate[:, column] += sign * STEP
            ends.append(likelihood.evaluate(moved, kinds)[1])
        for kind, model in models.items():
            level, rate = ((ends[0][kind].gradient[i] - ends[1][kind].gradient[i]) / (2 * STEP) for i in (0, 1))
            model.borders[0][:, column] = level
            model.corner[:, column] = rate


def _branching_ratio(
    point: Parameters, free: np.ndarray, covariance: np.ndarray, decays: int, quantile: float
) -> ParameterEstimate:
    k = len(point.baseline)
    ratio, slope = spectral_radius_slope(point.branching.reshape(k, k, decays).sum(-1))
    slopes = np.zeros(len(free))
    slopes[k : k + point.branching.size] = np.repeat(slope, decays, axis=1).ravel()
    slopes = slopes[free]
    variance = float(slopes @ covariance @ slopes)
    if not variance > 0:  # nothing excites anything, or the information is singular
        return ParameterEstimate("branching ratio", ratio)
    return _estimate("branching ratio", ratio, math.sqrt(variance), True, quantile)
