"""Which influences are real: the non-concave penalised likelihood of the branching matrix (M3TR theorem 3.1)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.penalties import penalty_slope
from models.hawkes.regression import Regression

STANDARD_ERRORS = np.geomspace(1.5, 8.0, 10)  # the path of strengths, in standard errors of an influence
LINEARISATIONS = 4


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
    problem = Regression(process, batches, window, sequences)
    k, decays = process.num_types, process.excitation.decays
    start = problem.get()
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
    problem.put(baseline, branching)
    return strength, torch.from_numpy(weights)
