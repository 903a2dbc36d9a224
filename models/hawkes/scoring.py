"""Fisher scoring for the classical likelihood. It needs a dozen passes over the events; a quasi-Newton method needs hundreds.

The expected Hessian of a point process's log-likelihood is minus the sum over events of the outer products of their scores
(Ogata 1978). The scores come from the same features as the gradient. At fixed decay rates this is the exact Hessian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.events import EventBatch
from models.hawkes.bounded_newton import Quadratic
from models.hawkes.classical_features import features_of

ITERATIONS = 100
# Two iterations in a row that change the likelihood by less than the larger of these end the climb: nats, nats per event.
STANDSTILL = 1e-2, 1e-6
FIRST_DAMPING, LARGEST_DAMPING = 1e-3, 1e9
LEAST_DAMPING = 3e-2  # a step with less differs little from it; from there a rejected step takes few raises to succeed
RAISE, LOWER = 4.0, 0.2  # largest changes of the damping, after a rejected and after a good step
LONGEST_STEP = 1.5  # largest step of a log decay rate


@dataclass
class Parameters:
    """The parameters of a classical process as arrays.

    Attributes:
        baseline: (k,).
        branching: (k, k r).
        log_rate: (1, r) if common to all pairs, else (k, k r).
    """

    baseline: np.ndarray
    branching: np.ndarray
    log_rate: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield baseline, branching and log_rate."""
        return iter((self.baseline, self.branching, self.log_rate))

    def copy(self) -> Parameters:
        """Return a copy whose arrays are copies too."""
        return Parameters(self.baseline.copy(), self.branching.copy(), self.log_rate.copy())

    def take(self, other: Parameters, kinds: list[int]) -> None:
        """Take over the parameters of the types `kinds` from `other`, including rates that are common to all types."""
        self.baseline[kinds], self.branching[kinds] = other.baseline[kinds], other.branching[kinds]
        rows = kinds if len(self.log_rate) > 1 else slice(None)
        self.log_rate[rows] = other.log_rate[rows]


@dataclass
class Limits:
    """Bounds of the parameters.

    Attributes:
        floor: (k,), lower bounds of the baselines.
        free: (k, k r) bool, False where the branching must be 0.
        slow: Lower bound of the log decay rates.
        fast: Upper bound of the log decay rates.
    """

    floor: np.ndarray
    free: np.ndarray
    slow: float
    fast: float


class Likelihood:
    """Minus the log-likelihood of each type over a set of sequences, plus a linear penalty, with its local model.

    Attributes:
        groups: Groups of types that share parameters: one group per type, or one of all types if the rates are shared.
        penalty: (k, k r), the linear penalty of the branching; 0 at first.
    """

    def __init__(self, batches: list[EventBatch], window: str, num_types: int, decays: int, *, shared: bool) -> None:
        """Create the likelihood of `batches` in `window`, for `decays` exponentials per pair of types."""
        self.batches, self.window, self.num_types, self.decays, self.shared = batches, window, num_types, decays, shared
        self.groups = [list(range(num_types))] if shared else [[kind] for kind in range(num_types)]
        self.penalty = np.zeros((num_types, num_types * decays))

    @property
    def standstill(self) -> float:
        """Change of the likelihood, in nats, below which an iteration counts as idle."""
        nats, per_event = STANDSTILL
        return max(nats, per_event * sum(batch.num_events for batch in self.batches))

    def evaluate(self, here: Parameters, kinds: list[int]) -> tuple[np.ndarray, dict[int, Quadratic]]:
        """Evaluate the value and a local quadratic model at some parameters.

        Args:
            here: The parameters.
            kinds: The types to evaluate.

        Returns:
            (k,) value by type, 0 for types not in `kinds`; and one model per type, whose block is (baseline, branching) and
            whose border is the log rates.
        """
        width = self.num_types * self.decays
        border = self.decays if self.shared else width
        models = {
            kind: Quadratic(
                [np.zeros(1 + width), np.zeros(border)],
                [np.zeros((1 + width, 1 + width))],
                [np.zeros((1 + width, border))],
                np.zeros((border, border)),
            )
            for kind in kinds
        }
        value = np.zeros(self.num_types)
        for kind, part in self._parts(here, kinds):
            model, by_level, by_rate = models[kind], part.by_level, part.by_rate
            value[kind] += part.value
            model.gradient[0] += part.expected - by_level.sum(0)
            model.gradient[1] += part.expected_by_rate - by_rate.sum(0)
            model.blocks[0] += by_level.T @ by_level
            model.borders[0] += by_level.T @ by_rate
            model.corner += by_rate.T @ by_rate
        for kind in kinds:
            value[kind] += self.penalty[kind] @ here.branching[kind]
            models[kind].gradient[0][1:] += self.penalty[kind]
        return np.where(np.isfinite(value), value, np.inf), models

    def curvature(self, here: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """Return the diagonal of the Hessian's model for the baseline (k,) and the branching (k, k r)."""
        squares = np.zeros((self.num_types, 1 + self.penalty.shape[1]))
        for kind, part in self._parts(here, list(range(self.num_types))):
            squares[kind] += np.square(part.by_level).sum(0)
        return squares[:, 0], squares[:, 1:]

    def _parts(self, here: Parameters, kinds: list[int]) -> Iterator[tuple[int, _Scores]]:
        """Yield each type of `kinds` with the scores of its events, batch by batch."""
        k, r = self.num_types, self.decays
        wanted = np.zeros(k, dtype=bool)
        wanted[kinds] = True
        rate = np.exp(here.log_rate)
        for batch in self.batches:
            features = features_of(batch, self.window, wanted, r, rate)
            for kind in kinds:
                row = 0 if self.shared else kind
                every = np.tile(rate[0], k) if self.shared else rate[kind]
                states, lags = features.states(kind)
                jump, exposure = here.branching[kind] * every, features.exposure[row]
                intensity = here.baseline[kind] + states @ jump
                with np.errstate(divide="ignore", invalid="ignore"):
                    share = 1 / intensity[:, None]
                    value = here.baseline[kind] * features.duration + here.branching[kind] @ exposure
                    value -= np.log(intensity).sum()
                    by_level = np.hstack([share, share * (states * every)])
                    by_rate = share * (jump * (states - every * lags))
                expected_by_rate = jump * features.exposure_lag[row]
                if self.shared:
                    by_rate, expected_by_rate = by_rate.reshape(-1, k, r).sum(1), expected_by_rate.reshape(k, r).sum(0)
                expected = np.concatenate([[features.duration], exposure])
                yield kind, _Scores(float(value), by_level, by_rate, expected, expected_by_rate)


class _Scores(NamedTuple):
    """One type's part of the likelihood in one batch.

    Attributes:
        value: Minus the log-likelihood.
        by_level: (n, 1 + k r), derivatives of each event's log-intensity by (baseline, branching).
        by_rate: (n, q), derivatives of each event's log-intensity by the log rates.
        expected: (1 + k r,), derivatives of the compensator by (baseline, branching).
        expected_by_rate: (q,), derivatives of the compensator by the log rates.
    """

    value: float
    by_level: np.ndarray
    by_rate: np.ndarray
    expected: np.ndarray
    expected_by_rate: np.ndarray


def climb(
    likelihood: Likelihood,
    start: Parameters,
    limits: Limits,
    *,
    iterations: int = ITERATIONS,
    record: Callable[[Parameters, float], bool] = lambda *_: False,
) -> tuple[Parameters, np.ndarray]:
    """Maximise the (penalised) likelihood from `start`, separately for each group of types that share parameters.

    Args:
        likelihood: The likelihood of the training sequences.
        start: The starting point; it must be within the limits.
        limits: Bounds of the parameters.
        iterations: Largest number of iterations.
        record: Called after each iteration with the point and its value. It returns True to end the climb.

    Returns:
        The best point and minus its (penalised) log-likelihood by type.
    """
    here, groups, standstill = start.copy(), likelihood.groups, likelihood.standstill
    value, models = likelihood.evaluate(here, [kind for group in groups for kind in group])
    damping, idle = np.full(len(groups), FIRST_DAMPING), np.zeros(len(groups), np.int64)
    active = list(range(len(groups)))
    for _ in range(iterations):
        trial = here.copy()
        expected = {number: move(trial, groups[number], models, damping[number], limits) for number in active}
        moved = [kind for number in active for kind in groups[number]]
        reached, ahead = likelihood.evaluate(trial, moved)
        for number in list(active):
            kinds = groups[number]
            gain = value[kinds].sum() - reached[kinds].sum()
            if gain >= 0:
                here.take(trial, kinds)
                value[kinds] = reached[kinds]
                models |= {kind: ahead[kind] for kind in kinds}
            damping[number] = next_damping(damping[number], gain, expected[number])
            idle[number] = idle[number] + 1 if abs(gain) < standstill else 0
            if idle[number] == 2 or damping[number] > LARGEST_DAMPING:
                active.remove(number)
        if record(here, float(value.sum())) or not active:
            break
    return here, value


def next_damping(damping: float, gain: float, expected: float) -> float:
    """Return the damping after a step, by the ratio of its gain to the gain that the local model expected (Nielsen 1999)."""
    if gain < 0:
        return damping * RAISE
    change = 1 - (2 * gain / expected - 1) ** 3 if expected > 0 else 1.0
    return max(damping * min(max(change, LOWER), 2.0), LEAST_DAMPING)


def move(trial: Parameters, kinds: list[int], models: dict[int, Quadratic], damping: float, limits: Limits) -> float:
    """Apply the step of a group of types to `trial`, in place, and return the gain that the local model expects of it."""
    parts = [models[kind] for kind in kinds]
    whole = Quadratic(
        [*(part.gradient[0] for part in parts), sum(part.gradient[1] for part in parts)],
        [part.blocks[0] for part in parts],
        [part.borders[0] for part in parts],
        sum(part.corner for part in parts),
    )
    rows = kinds if len(trial.log_rate) > 1 else [0]
    log_rate = trial.log_rate[rows].ravel()
    low = [np.concatenate([[limits.floor[kind] - trial.baseline[kind]], -trial.branching[kind]]) for kind in kinds]
    high = [np.concatenate([[np.inf], np.where(limits.free[kind], np.inf, 0.0)]) for kind in kinds]
    low.append(np.clip(limits.slow - log_rate, -LONGEST_STEP, 0.0))
    high.append(np.clip(limits.fast - log_rate, 0.0, LONGEST_STEP))
    step = whole.damped(damping).step(low, high)
    for kind, d in zip(kinds, step):
        trial.baseline[kind] = max(trial.baseline[kind] + d[0], limits.floor[kind])
        trial.branching[kind] = np.maximum(trial.branching[kind] + d[1:], 0.0)
    trial.log_rate[rows] = np.clip(log_rate + step[-1], limits.slow, limits.fast).reshape(trial.log_rate[rows].shape)
    return whole.decrease(step)
