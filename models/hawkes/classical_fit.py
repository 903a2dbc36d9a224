"""Maximum likelihood for the classical process: L-BFGS-B with exact gradients, and its penalised form."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events
from models.hawkes.initialisation import initialise_classical
from models.hawkes.penalised import select_influences
from models.hawkes.regression import Regression
from models.hawkes.report import Epoch, FitReport

BATCH_EVENTS = 20_000  # events a batch of the likelihood: small enough for the processor's cache
ITERATIONS = 1000
STANDSTILL = 10, 2e-5  # stop after so many iterations that together gained less than so many nats an event


def fit_classical(
    process: ExponentialHawkes,
    train: EventBatch,
    dev: EventBatch,
    *,
    penalty: str | None,
    strength: float | None,
    window: str,
    max_seconds: float | None,
    progress: Callable[[Epoch], None] | None,
) -> FitReport:
    """`fit` for an ExponentialHawkes; its arguments are explained there."""
    began = time.monotonic()
    report = FitReport()
    if not bool(process.initialised):
        initialise_classical(process, train, window=window)
    batches = _cut(train)
    scored = max(int(counted_events(train, window).sum()), 1)

    def record(value: float) -> None:
        report.curve.append(Epoch(len(report.curve), -value, _score(process, dev, window), time.monotonic() - began))
        if progress is not None:
            progress(report.curve[-1])

    def late() -> bool:
        return max_seconds is not None and time.monotonic() - began > max_seconds

    # First all but the decay rates, which is a concave problem a type, then everything together.
    start = Regression(process, batches, window, len(train))
    nothing = np.zeros((process.num_types, process.num_types * process.excitation.decays))
    start.put(*start.solve(nothing, *start.get())[:2])
    units = start.units(*start.get())
    weights = torch.zeros(process.num_types, process.num_types, dtype=torch.float64)
    _climb(process, batches, window, units, scored, weights, record, late)
    if penalty is not None:
        report.strength, weights = select_influences(process, batches, window, len(train), penalty, strength)
        support = process.branching_matrix() > 0  # decided: what follows moves the rates and what is left
        _climb(process, batches, window, units, scored, weights * len(train) / scored, record, late, support=support)
    report.best_epoch = len(report.curve) - 1
    report.seconds = time.monotonic() - began
    report.branching_ratio = process.branching_ratio()
    process.eval()
    return report


def _cut(events: EventBatch) -> list[EventBatch]:
    """Batches of sequences of similar length, longest first."""
    order = events.lengths.argsort(descending=True)
    lengths, batches, begin = events.lengths[order].tolist(), [], 0
    while begin < len(order):
        size = max(1, BATCH_EVENTS // max(lengths[begin], 1))
        batches.append(events[order[begin : begin + size]])
        begin += size
    return batches


@torch.no_grad()
def _score(process: ExponentialHawkes, events: EventBatch, window: str) -> float:
    total = sum(float(process.log_likelihood(batch, window=window).sum()) for batch in _cut(events))
    return total / max(int(counted_events(events, window).sum()), 1)


def _climb(
    process: ExponentialHawkes,
    batches: list[EventBatch],
    window: str,
    units: tuple[np.ndarray, np.ndarray],
    scored: int,
    weights: Tensor,
    record: Callable[[float], None],
    late: Callable[[], bool],
    *,
    support: Tensor | None = None,
) -> None:
    """Maximise the log-likelihood an event, less weights (k, k) times the branching matrix, over all parameters.

    units: of the baseline (k,) and the branching (k k r,), in which all of them matter alike. Where `support` (k, k) is
    False the branching stays 0.
    """
    from scipy.optimize import minimize

    parameters = [process.baseline, process.excitation.branching, process.excitation.log_rate]
    sizes = [p.numel() for p in parameters]
    scale = np.concatenate([*units, np.ones(sizes[2])])
    free = torch.ones_like(weights, dtype=torch.bool) if support is None else support
    free = free[..., None].expand_as(process.excitation.branching).flatten().tolist()
    bounds = [(1e-6, None)] * sizes[0] + [(0.0, None if one else 0.0) for one in free] + [(-50.0, 50.0)] * sizes[2]
    latest, values = {"value": 0.0}, []

    def put(x: np.ndarray) -> None:
        with torch.no_grad():
            for parameter, part in zip(parameters, np.split(x * scale, np.cumsum(sizes)[:-1])):
                parameter.copy_(torch.from_numpy(part).view_as(parameter))

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        put(x)
        process.zero_grad()
        total = 0.0
        for batch in batches:
            loss = -process.log_likelihood(batch, window=window).sum() / scored
            loss.backward()
            total += float(loss.detach())
        penalised = (process.excitation.branching * weights[..., None]).sum()
        penalised.backward()
        latest["value"] = total
        return total + float(penalised.detach()), np.concatenate([p.grad.flatten().numpy() for p in parameters]) * scale

    def callback(x: np.ndarray) -> None:
        record(latest["value"])
        values.append(latest["value"])
        span, gain = STANDSTILL
        if late() or (len(values) > span and values[-span - 1] - values[-1] < gain):
            raise StopIteration

    start = np.concatenate([p.detach().flatten().numpy() for p in parameters]) / scale
    options = {"maxiter": ITERATIONS, "ftol": 0.0, "gtol": 1e-6, "maxcor": 20}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=options)
    put(result.x)
    process.zero_grad()
    if not values:  # where it began was the maximum already
        record(latest["value"])
