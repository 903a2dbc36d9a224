"""Maximum likelihood and penalised maximum likelihood for the classical process, from several starts and under bounds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events
from models.hawkes.initialisation import decay_grid, has_sources, rate_bounds, type_rates
from models.hawkes.penalised import select_influences
from models.hawkes.process import PointProcess
from models.hawkes.quasi_newton import climb_quasi_newton
from models.hawkes.report import Epoch, FitReport
from models.hawkes.scoring import ITERATIONS, Likelihood, Limits, Parameters, climb
from models.hawkes.stability import bounded_ratio

BATCH_NUMBERS = 4_000_000  # most numbers in the features of a batch, which bounds the memory
MOST_EVENTS = 100_000  # most events of a batch, including padding
LARGEST_HESSIAN = 2**26  # most numbers in a Hessian; with more types than this allows, the fit uses L-BFGS-B
EXPLORING = 8  # iterations from each start before the best one is selected
FLOOR = 1e-6  # least baseline, relative to a type's rate


def fit_classical(
    process: ExponentialHawkes,
    train: EventBatch,
    dev: EventBatch,
    *,
    penalty: str | None = None,
    strength: float | None = None,
    window: str = "observation",
    max_branching: float | None = None,
    max_seconds: float | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> FitReport:
    """Fit an ExponentialHawkes; see `fit.fit` for the arguments."""
    began, report = time.monotonic(), FitReport()
    k, decays, shared = process.num_types, process.excitation.decays, process.excitation.shared
    scored = max(int(counted_events(train, window).sum()), 1)
    batches = batches_of_likelihood(train, k, decays)
    limits = limits_of(train, k, decays, window)

    def late() -> bool:
        return max_seconds is not None and time.monotonic() - began > max_seconds

    def record(point: Parameters, value: float) -> bool:
        put(process, point)
        score = score_of(process, dev, window)
        report.curve.append(Epoch(len(report.curve), -value / scored, score, time.monotonic() - began))
        if progress is not None:
            progress(report.curve[-1])
        return late()

    likelihood = Likelihood(batches, window, k, decays, shared=shared)
    many = k * (1 + k * decays * (1 if shared else 2)) ** 2 > LARGEST_HESSIAN
    starts = [parameters_of(process)] if bool(process.initialised) else _starts(train, k, decays, window, shared)
    starts = starts[:1] if many else starts

    def ascend(start: Parameters, iterations: int = ITERATIONS) -> tuple[Parameters, np.ndarray]:
        if many:
            return climb_quasi_newton(process, likelihood, start, limits, events=scored, record=record)
        return climb(likelihood, start, limits, iterations=iterations, record=record)

    # The likelihood has several maxima as a function of the rates, so each group of types continues from its best start.
    best, value = ascend(starts[0], EXPLORING) if len(starts) > 1 else (starts[0], None)
    for start in starts[1:]:
        if late():
            break
        point, reached = ascend(start, EXPLORING)
        for kinds in likelihood.groups:
            if reached[kinds].sum() < value[kinds].sum():
                best.take(point, kinds)
                value[kinds] = reached[kinds]
    best, _ = ascend(best)
    if penalty is not None:
        report.strength, weights = select_influences(best, likelihood, limits, len(train), penalty, strength)
        selected = best.branching.reshape(k, k, decays).sum(-1) > 0
        # The rest of the fit changes the rates and the selected influences only.
        limits.free &= np.repeat(selected, decays, axis=1)
        likelihood.penalty = np.repeat(weights * len(train), decays, axis=1)
        best, _ = ascend(best)
    if max_branching is not None and not many:
        best = bounded_ratio(likelihood, best, limits, max_branching, events=scored, late=late)
    process.initialised.fill_(True)
    put(process, best)
    if max_branching is not None:
        process.project_(max_branching=max_branching)
    record(parameters_of(process), -score_of(process, train, window) * scored)
    report.best_epoch = len(report.curve) - 1
    report.seconds = time.monotonic() - began
    report.branching_ratio = process.branching_ratio()
    process.eval()
    return report


def batches_of_likelihood(events: EventBatch, num_types: int, decays: int) -> list[EventBatch]:
    """Split `events` into batches whose features, k r numbers per event, fit into memory."""
    return batches_of(events, BATCH_NUMBERS // (num_types * decays))


def batches_of(events: EventBatch, most: int) -> list[EventBatch]:
    """Split `events` into batches of similar length, longest first, of about `most` events including padding."""
    order = events.lengths.argsort(descending=True, stable=True)
    lengths, batches, begin = events.lengths[order].tolist(), [], 0
    while begin < len(order):
        size = max(1, min(most, MOST_EVENTS) // max(lengths[begin], 1))
        batches.append(events[order[begin : begin + size]])
        begin += size
    return batches


@torch.no_grad()
def score_of(process: PointProcess, events: EventBatch, window: str) -> float:
    """Return the log-likelihood per event, in nats."""
    total = sum(float(process.log_likelihood(batch, window=window).sum()) for batch in batches_of(events, MOST_EVENTS))
    return total / max(int(counted_events(events, window).sum()), 1)


def parameters_of(process: ExponentialHawkes) -> Parameters:
    """Return copies of the process's parameters as arrays."""
    excitation = process.excitation
    parts = (process.baseline, excitation.branching.flatten(1), excitation.log_rate.flatten(1))
    return Parameters(*(part.detach().numpy().copy() for part in parts))


@torch.no_grad()
def put(process: ExponentialHawkes, point: Parameters) -> None:
    """Set the parameters of the process to those of `point`."""
    process.baseline.copy_(torch.from_numpy(point.baseline))
    for mine, new in ((process.excitation.branching, point.branching), (process.excitation.log_rate, point.log_rate)):
        mine.copy_(torch.from_numpy(new).view_as(mine))


def limits_of(events: EventBatch, k: int, decays: int, window: str) -> Limits:
    """Return the bounds of the parameters that the data allow, for k types and `decays` exponentials per pair."""
    slow, fast = rate_bounds(events, window)
    sources = has_sources(events, k, window).numpy()
    free = np.repeat(np.broadcast_to(sources, (k, k)), decays, axis=1)
    return Limits(FLOOR * type_rates(events, k, window).numpy(), free, math.log(slow), math.log(fast))


def _starts(events: EventBatch, k: int, decays: int, window: str, shared: bool) -> list[Parameters]:
    """Return three starts that differ in their decay rates.

    The baseline is half of each type's rate, and all events have half an offspring in total. The decay rates are the data's
    grid, and the faster and the slower rates of a grid with one rate more.
    """
    finer = decay_grid(events, decays + 1, window)
    sources = np.repeat(has_sources(events, k, window).numpy(), decays)
    baseline = 0.5 * type_rates(events, k, window).numpy()
    branching = np.broadcast_to(0.5 / (k * decays) * sources, (k, k * decays))
    starts = []
    for rates in (decay_grid(events, decays, window), finer[:-1], finer[1:]):
        log_rate = rates.log().numpy()
        every = log_rate[None] if shared else np.tile(log_rate, (k, k))
        starts.append(Parameters(baseline.copy(), branching.copy(), every.copy()))
    return starts
