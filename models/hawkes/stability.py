"""Maximum likelihood for the classical process under a bound on its branching ratio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.hawkes.bounded_newton import Quadratic
from models.hawkes.scoring import (
    LARGEST_DAMPING,
    LEAST_DAMPING,
    Likelihood,
    Limits,
    Parameters,
    move,
    next_damping,
)

ITERATIONS = 60  # most passes over the events
TRIALS = 30  # most multipliers to try per pass; a trial solves for a step and passes over no events
SLACK = 2e-3  # the branching ratio ends at most this far below the bound, relative


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

    Every point of the climb lies within the bound, from the unbounded maximum scaled down. A step minimises the local model of
    the likelihood plus a Lagrange multiplier times the ratio, which is linear in small changes of the branching; the
    multiplier is the one at which the point after the step has the largest ratio allowed.

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
    (ratio, slope), groups = _ratio(likelihood, start), likelihood.groups
    if ratio <= bound:
        return start
    here, kinds = start.copy(), [kind for group in groups for kind in group]
    here.branching *= bound * (1 - SLACK / 2) / ratio
    value, models = likelihood.evaluate(here, kinds)
    multiplier, damping, idle = 0.1 * events * (ratio - bound), LEAST_DAMPING, 0
    for _ in range(ITERATIONS):
        if late():
            break
        slope = np.repeat(_ratio(likelihood, here)[1], likelihood.decays, axis=1)
        search = _MultiplierSearch(likelihood, here, models, slope, damping, limits)
        trial, expected, multiplier = search.run(multiplier, bound)
        reached, ahead = likelihood.evaluate(trial, kinds)
        gain = float(value.sum() - reached.sum())
        if gain >= 0:
            here, value, models = trial, reached, ahead
        damping = next_damping(damping, gain, expected)
        idle = idle + 1 if abs(gain) < likelihood.standstill else 0
        if idle == 2 or damping > LARGEST_DAMPING:
            break
    return here


def _ratio(likelihood: Likelihood, point: Parameters) -> tuple[float, np.ndarray]:
    k = likelihood.num_types
    return spectral_radius_slope(point.branching.reshape(k, k, likelihood.decays).sum(-1))


@dataclass
class _MultiplierSearch:
    """Search for the multiplier at which a step from `here` ends at the bound of the branching ratio."""

    likelihood: Likelihood
    here: Parameters
    models: dict[int, Quadratic]
    slope: np.ndarray  # (k, k r), of the ratio by the branching
    damping: float
    limits: Limits

    def run(self, guess: float, bound: float) -> tuple[Parameters, float, float]:
        """Return the point after the step, the gain in likelihood that the local model expects of it, and the multiplier."""
        low, high, multiplier = 0.0, np.inf, guess
        for _ in range(TRIALS):
            trial, expected = self._step(multiplier)
            ratio = _ratio(self.likelihood, trial)[0]
            if bound * (1 - SLACK) <= ratio <= bound:
                return trial, expected, multiplier
            if ratio > bound:
                low = multiplier
            else:
                high, within = multiplier, (trial, expected, multiplier)
            if high < 1e-9 * guess:  # the step without a multiplier stays within the bound
                return within
            multiplier = 4 * low if np.isinf(high) else 0.5 * (low + high) if low > 0 else 0.25 * high
        # No multiplier reaches the bound to within the slack: the largest step that stays within it, or none.
        return within if np.isfinite(high) else (self.here.copy(), 0.0, guess)

    def _step(self, multiplier: float) -> tuple[Parameters, float]:
        trial, expected = self.here.copy(), 0.0
        for kinds in self.likelihood.groups:
            sloped = {kind: self.models[kind].tilted(multiplier * self.slope[kind]) for kind in kinds}
            expected += move(trial, kinds, sloped, self.damping, self.limits)
        change = trial.branching - self.here.branching
        return trial, expected + multiplier * float((self.slope * change).sum())
