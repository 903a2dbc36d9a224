"""Selection of influences by a non-concave penalty of the branching matrix (M3TR theorem 3.1)."""

from __future__ import annotations

import math

import numpy as np
import torch

from models.hawkes.penalties import penalty_slope
from models.hawkes.regression import Regression
from models.hawkes.scoring import Likelihood, Limits, Parameters

STANDARD_ERRORS = np.geomspace(1.5, 8.0, 10)  # strengths to try, in standard errors of an influence
LINEARISATIONS = 4


def select_influences(
    point: Parameters,
    likelihood: Likelihood,
    limits: Limits,
    sequences: int,
    kind: str,
    strength: float | None,
) -> tuple[float, np.ndarray]:
    """Fit the penalised likelihood at the decay rates of `point`, and write the solution to `point`.

    The penalty acts on standardised influences: G_km times the root of its Fisher information per sequence at the maximum
    of the likelihood. So one strength means the same evidence for every pair, in any data.

    Local linear approximation (Zou and Li 2008) replaces the penalty by its tangent at the current estimate, which is a
    weighted L1 norm. It starts at the maximum of the likelihood.

    Args:
        point: The maximum of the likelihood; its baseline and branching are replaced.
        likelihood: The likelihood of the training sequences.
        limits: Bounds of the parameters.
        sequences: Number of training sequences.
        kind: "mcp" or "scad".
        strength: The penalty's gamma. None selects the strength with the least BIC: log(events) per influence that is not
            zero, minus twice the log-likelihood.

    Returns:
        The strength, and the weights (k, k) per sequence of the penalty's tangent at the solution.
    """
    decays = likelihood.decays
    problem = Regression(likelihood.batches, likelihood.window, point, decays, sequences, limits.floor)
    start = point.baseline, point.branching
    k = len(point.baseline)
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
    point.baseline, point.branching, _, weights = solve(strength)
    return strength, weights
