"""Maximum likelihood for the classical process: L-BFGS-B with exact gradients, and its penalised form."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events, window_bounds
from models.hawkes.initialisation import initialise_classical, type_rates
from models.hawkes.penalties import penalty_slope
from models.hawkes.report import Epoch, FitReport

BATCH_EVENTS = 20_000  # events a batch of the likelihood: small enough for the processor's cache
ITERATIONS = 300
STANDARD_ERRORS = np.geomspace(1.5, 8.0, 10)  # the path of strengths, in standard errors of an influence
LINEARISATIONS = 4


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
        initialise_classical(process, train)
    rates = type_rates(train, process.num_types)
    batches = _cut(train)
    scored = max(int(counted_events(train, window).sum()), 1)

    def record(value: float) -> None:
        report.curve.append(Epoch(len(report.curve), -value, _score(process, dev, window), time.monotonic() - began))
        if progress is not None:
            progress(report.curve[-1])

    def late() -> bool:
        return max_seconds is not None and time.monotonic() - began > max_seconds

    weights = torch.zeros(process.num_types, process.num_types, dtype=torch.float64)
    _climb(process, batches, window, rates, scored, weights, record, late)
    if penalty is not None:
        report.strength, weights = _select(process, batches, window, len(train), penalty, strength)
        support = process.branching_matrix() > 0  # decided: what follows moves the rates and what is left
        _climb(process, batches, window, rates, scored, weights * len(train) / scored, record, late, support=support)
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
    rates: Tensor,
    scored: int,
    weights: Tensor,
    record: Callable[[float], None],
    late: Callable[[], bool],
    *,
    support: Tensor | None = None,
) -> None:
    """Maximise the log-likelihood an event, less weights (k, k) times the branching matrix, over all parameters.

    Where `support` (k, k) is False the branching stays 0.
    """
    parameters = [process.baseline, process.excitation.branching, process.excitation.log_rate]
    sizes = [p.numel() for p in parameters]
    # The baseline is searched in units of the data's rates: all coordinates are then of the order of 1.
    scale = np.concatenate([rates.numpy(), np.ones(sizes[1] + sizes[2])])
    free = torch.ones_like(weights, dtype=torch.bool) if support is None else support
    free = free[..., None].expand_as(process.excitation.branching).flatten().tolist()
    bounds = [(1e-6, None)] * sizes[0] + [(0.0, None if one else 0.0) for one in free] + [(-50.0, 50.0)] * sizes[2]
    latest = {"value": 0.0}

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
        if late():
            raise StopIteration

    start = np.concatenate([p.detach().flatten().numpy() for p in parameters]) / scale
    options = {"maxiter": ITERATIONS, "ftol": 1e-8, "gtol": 1e-6, "maxcor": 20}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=options)
    put(result.x)
    process.zero_grad()


class _Regression:
    """The likelihood with the decay rates held: log(mu_k + X_i G_k) summed over the events of type k, less a linear

    term. It is concave and falls apart into one small problem a type, so a whole path of penalties costs little.
    """

    @torch.no_grad()
    def __init__(self, process: ExponentialHawkes, batches: list[EventBatch], window: str, sequences: int) -> None:
        excitation, k = process.excitation, process.num_types
        self.process, self.sequences, self.shape = process, sequences, excitation.branching.shape
        features, owners, self.duration = [], [], 0.0
        exposure = torch.zeros(self.shape, dtype=torch.float64)
        for batch in batches:
            counted = counted_events(batch, window)
            before = excitation.own_states(batch) * excitation.rate_of(batch.types)
            features.append(before[counted].flatten(1))
            owners.append(batch.types[counted])
            start, end = window_bounds(batch, window)
            self.duration += float((end - start).sum())
            left = torch.where(batch.mask, end[:, None] - batch.times, 0.0)
            exposure += excitation.exposure(left, batch.types)
        owners, features = torch.cat(owners), torch.cat(features)
        self.features = [features[owners == kind].numpy() for kind in range(k)]
        self.exposure = exposure.flatten(1).numpy()

    def information(self, baseline: np.ndarray, branching: np.ndarray) -> np.ndarray:
        """(k, k) Fisher information a sequence of the branching matrix's entries (of their mean over the decays)."""
        k, _, decays = self.shape
        found = np.empty((k, k))
        for kind, X in enumerate(self.features):
            rate = baseline[kind] + X @ branching[kind]
            pairs = X.reshape(len(X), k, decays).mean(-1) / rate[:, None]
            found[kind] = np.square(pairs).sum(0) / self.sequences
        # A source that never excited anything carries no evidence: penalised as if it carried a little, it goes to 0.
        return np.maximum(found, 1e-6)

    def solve(self, weights: np.ndarray, baseline: np.ndarray, branching: np.ndarray) -> tuple[np.ndarray, ...]:
        """mu (k,) and G (k, k r) that maximise log-likelihood / sequences - weights G, and the log-likelihood (k,)."""
        baseline, branching = baseline.copy(), branching.copy()
        value = np.zeros(len(baseline))
        for kind, X in enumerate(self.features):
            linear = np.concatenate([[self.duration], self.exposure[kind]])
            cost = np.concatenate([[0.0], weights[kind] * self.sequences])
            unit = max(len(X), 1) / self.duration  # the type's rate, the scale of its baseline
            X = np.concatenate([np.full((len(X), 1), unit), X], axis=1)
            linear[0] *= unit

            scale = 1.0 / max(len(X), 1)

            def negative(g, X=X, linear=linear, cost=cost, scale=scale):
                rate = X @ g
                gradient = linear + cost - (1.0 / rate) @ X
                return scale * ((linear + cost) @ g - np.log(rate).sum()), scale * gradient

            start = np.concatenate([[max(baseline[kind] / unit, 1e-3)], branching[kind]])
            bounds = [(1e-6, None)] + [(0.0, None)] * branching.shape[1]
            options = {"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8}
            result = minimize(negative, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            baseline[kind], branching[kind] = result.x[0] * unit, result.x[1:]
            value[kind] = -(result.fun / scale - cost @ result.x)
        return baseline, branching, value


def _select(
    process: ExponentialHawkes,
    batches: list[EventBatch],
    window: str,
    sequences: int,
    kind: str,
    strength: float | None,
) -> tuple[float, Tensor]:
    """The penalty's strength and the weights (k, k), a sequence, of its linearisation at the solution.

    The penalty acts on standardised influences, G_km times the root of its Fisher information a sequence at the
    maximum of the likelihood, so that one strength means the same evidence for every pair, in any data. Local linear
    approximation (Zou and Li 2008) replaces it by its tangent at the current estimate, a weighted L1 norm, beginning
    at the maximum of the likelihood. Without a strength the one with the least BIC is taken: log(events) for each
    influence that is not zero, less twice the log-likelihood. The process gets the solution's parameters.
    """
    problem = _Regression(process, batches, window, sequences)
    k, decays = process.num_types, process.excitation.decays
    start = (process.baseline.detach().numpy(), process.excitation.branching.detach().flatten(1).numpy())
    events = sum(len(part) for part in problem.features)
    unit = np.sqrt(problem.information(*start))

    def solve(gamma: float) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
        baseline, branching = start
        weights = None
        for _ in range(LINEARISATIONS):
            total = torch.from_numpy(unit * branching.reshape(k, k, decays).sum(-1))
            slope = unit * penalty_slope(total, gamma, kind=kind).numpy()
            if weights is not None and np.abs(slope - weights).max() < 1e-3 * gamma:
                break
            weights = slope
            baseline, branching, value = problem.solve(np.repeat(weights, decays, axis=1), baseline, branching)
        return baseline, branching, float(value.sum()), weights

    if strength is None:
        best = math.inf
        for gamma in STANDARD_ERRORS / math.sqrt(sequences):
            _, branching, value, _ = solve(gamma)
            nonzero = int((branching.reshape(k, k, decays).sum(-1) > 0).sum())
            criterion = nonzero * math.log(events) - 2 * value
            if criterion < best:
                best, strength = criterion, float(gamma)
    baseline, branching, _, weights = solve(strength)
    with torch.no_grad():
        process.baseline.copy_(torch.from_numpy(baseline))
        process.excitation.branching.copy_(torch.from_numpy(branching).view_as(process.excitation.branching))
    return strength, torch.from_numpy(weights)
