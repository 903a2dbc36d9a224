"""Which influences are real: the non-concave penalised likelihood of the branching matrix (M3TR theorem 3.1)."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events, window_bounds
from models.hawkes.penalties import penalty_slope

STANDARD_ERRORS = np.geomspace(1.5, 8.0, 10)  # the path of strengths, in standard errors of an influence
LINEARISATIONS = 4


class _Regression:
    """The likelihood with the decay rates held: log(mu_k + X_i G_k) over the events of type k, less a linear term.

    It is concave and falls apart into one small problem a type, so that a whole path of penalties costs little.
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
            # Per event, and with the baseline in units of the type's rate, all numbers are of the order of 1.
            count = max(len(X), 1)
            unit = count / self.duration
            design = np.concatenate([np.full((len(X), 1), unit), X], axis=1)
            linear = np.concatenate([[self.duration * unit], self.exposure[kind]]) / count
            cost = np.concatenate([[0.0], weights[kind]]) * (self.sequences / count)
            start = np.concatenate([[max(baseline[kind] / unit, 1e-3)], branching[kind]])
            result = minimize(
                _negative, start, args=(design, linear + cost), jac=True, method="L-BFGS-B",
                bounds=[(1e-6, None)] + [(0.0, None)] * branching.shape[1],
                options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-8},
            )  # fmt: skip
            baseline[kind], branching[kind] = result.x[0] * unit, result.x[1:]
            value[kind] = -(result.fun - cost @ result.x) * count
        return baseline, branching, value


def _negative(g: np.ndarray, design: np.ndarray, linear: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log-likelihood an event, and its gradient: design (n, p), linear (p,)."""
    rate = design @ g
    count = max(len(rate), 1)
    return linear @ g - np.log(rate).sum() / count, linear - (1.0 / rate) @ design / count


def select_influences(
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
