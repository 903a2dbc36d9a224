"""Maximum likelihood for the classical process under a bound on its branching ratio."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.hawkes.scoring import Likelihood, Limits, Parameters, climb

ATTEMPTS, ITERATIONS = 12, 12  # multipliers to try, and iterations of the climb for each
SLACK = 2e-3  # the search ends when the ratio is at most this far below the bound, relative


def spectral_radius_slope(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the spectral radius of a non-negative matrix and its derivative by each entry.

    A small number is added to every entry, so that the largest eigenvalue is simple and its eigenvectors are positive. The
    outer product of the left and right eigenvectors is the limit of the matrix's powers, computed by repeated squaring.

    Args:
        matrix: (k, k), non-negative.

    Returns:
        The spectral radius, and its derivatives (k, k).
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
    likelihood: Likelihood,
    start: Parameters,
    limits: Limits,
    bound: float,
    *,
    events: int,
    late: Callable[[], bool] = lambda: False,
) -> Parameters:
    """Maximise the likelihood under the constraint that the branching ratio is at most `bound`.

    A Lagrange multiplier of the ratio enters as a linear penalty of the branching matrix. It is found by the secant method.

    Args:
        likelihood: The likelihood of the training sequences.
        start: The maximum of the likelihood without the bound.
        limits: Bounds of the parameters.
        bound: Largest branching ratio.
        events: Number of events that are scored.
        late: Returns True once the time is up; the search then ends with the best that it has found.

    Returns:
        The best parameters within the bound; `start` itself if it is within the bound.
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

    best = start.copy()  # first candidate: the unbounded maximum, scaled down
    best.branching *= bound / ratio
    least = value_of(best)
    tried = [(0.0, ratio)]
    multiplier = 0.1 * events * (ratio - target)
    for _ in range(ATTEMPTS):
        if late():
            break
        likelihood.penalty = penalty + multiplier * np.repeat(slope, decays, axis=1)
        here, _ = climb(likelihood, here, limits, iterations=ITERATIONS, record=lambda *_: late())
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
    """Return the next multiplier: between the closest that were too small and too large, or larger if none was too large."""
    low = max(((m, r) for m, r in tried if r > target), default=(0.0, np.inf))
    high = min(((m, r) for m, r in tried if r <= target), default=None)
    if high is None:
        return 4 * low[0]
    if high[0] <= low[0]:  # the climbs start at different points, so the ratio need not decrease with the multiplier
        return 0.5 * (high[0] + low[0])
    share = (low[1] - target) / (low[1] - high[1])
    return low[0] + float(np.clip(share, 0.1, 0.9)) * (high[0] - low[0])
