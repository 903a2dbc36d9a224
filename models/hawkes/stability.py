"""The maximum of the classical likelihood among the processes that are stable."""

from __future__ import annotations

import numpy as np

from models.hawkes.scoring import Likelihood, Limits, Parameters, climb

ATTEMPTS, ITERATIONS = 12, 12
SLACK = 2e-3  # how far below the bound, relative, the ratio may end


def spectral_radius_slope(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    """Spectral radius of a non-negative matrix (k, k), and its derivative by each entry.

    A little is added to every entry, so that the largest eigenvalue is simple and its eigenvectors are positive. Their outer
    product is the limit of the matrix's powers, taken by squaring.
    """
    positive = matrix + 1e-9 * max(float(matrix.max()), 1e-300)
    power, logarithm = positive, 0.0
    for squarings in range(40):
        size = power.max()
        logarithm += np.log(size) / 2**squarings
        power = power / size
        power = power @ power
    return float(np.exp(logarithm)), (power / np.trace(power)).T


def bounded_ratio(
    likelihood: Likelihood, start: Parameters, limits: Limits, bound: float, *, events: int
) -> Parameters:
    """The best parameters whose branching ratio is at most `bound`, from the best ones without it.

    A Lagrange multiplier of the ratio, found by the secant method, enters as a linear penalty of the branching matrix.
    """
    k, decays = likelihood.num_types, likelihood.decays

    def ratio_of(point: Parameters) -> tuple[float, np.ndarray]:
        return spectral_radius_slope(point.branching.reshape(k, k, decays).sum(-1))

    here, (ratio, slope) = start, ratio_of(start)
    if ratio <= bound:
        return start
    penalty, target = likelihood.penalty, bound * (1 - SLACK / 2)
    kinds = list(range(k))

    def value_of(point: Parameters) -> float:
        return float(likelihood.evaluate(point, kinds)[0].sum())

    best = start.copy()  # to begin with, the unbounded maximum scaled down
    best.branching *= bound / ratio
    least = value_of(best)
    tried = [(0.0, ratio)]
    multiplier = 0.1 * events * (ratio - target)
    for _ in range(ATTEMPTS):
        likelihood.penalty = penalty + multiplier * np.repeat(slope, decays, axis=1)
        here, _ = climb(likelihood, here, limits, iterations=ITERATIONS)
        likelihood.penalty = penalty
        ratio, slope = ratio_of(here)
        tried.append((multiplier, ratio))
        if ratio <= bound and (value := value_of(here)) < least:
            best, least = here, value
        if bound * (1 - SLACK) <= ratio <= bound:
            break
        multiplier = _next(tried, target)
    return best


def _next(tried: list[tuple[float, float]], target: float) -> float:
    """The multiplier to try: between the closest ones that were too small and too large, else further on."""
    low = max(((m, r) for m, r in tried if r > target), default=(0.0, np.inf))
    high = min(((m, r) for m, r in tried if r <= target), default=None)
    if high is None:
        return 4 * low[0]
    if high[0] <= low[0]:  # a warm start moved the curve: search again around the latest
        return 0.5 * (high[0] + low[0])
    share = (low[1] - target) / (low[1] - high[1])
    return low[0] + float(np.clip(share, 0.1, 0.9)) * (high[0] - low[0])
