"""The classical likelihood with its decay rates held: one small concave problem per type."""

from __future__ import annotations

import numpy as np

from models.events import EventBatch
from models.hawkes.bounded_newton import Quadratic
from models.hawkes.classical_features import features_of
from models.hawkes.scoring import Parameters

ITERATIONS = 60
ENOUGH = 1e-11  # nats per event of the type that a step must gain


class Regression:
    """log(mu_k + X_i G_k) summed over the events of type k, less a linear term, at the rates of `at`.

    The features are computed once and the problem falls apart into one per type, so that a whole path of penalties costs
    little.
    """

    def __init__(
        self, batches: list[EventBatch], window: str, at: Parameters, decays: int, sequences: int, floor: np.ndarray
    ) -> None:
        k, width = at.branching.shape
        rate = np.exp(at.log_rate)
        self.sequences, self.floor, self.duration = sequences, floor, 0.0
        exposure, features = np.zeros((k, width)), [[] for _ in range(k)]
        for batch in batches:
            part = features_of(batch, window, np.ones(k, dtype=bool), decays, rate, with_lags=False)
            for kind, rows in enumerate(part.rows):
                features[kind].append(part.every[rows])
            exposure += part.exposure
            self.duration += part.duration
        every = np.broadcast_to(rate if len(rate) == k else np.tile(rate, (1, k)), (k, width))
        self.features = [np.concatenate(parts) * every[kind] for kind, parts in enumerate(features)]
        self.exposure = exposure

    def information(self, baseline: np.ndarray, branching: np.ndarray) -> np.ndarray:
        """(k, k) Fisher information per sequence of the branching matrix's entries (of their mean over the decays)."""
        k = len(baseline)
        found = np.empty((k, k))
        for kind, X in enumerate(self.features):
            intensity = baseline[kind] + X @ branching[kind]
            pairs = X.reshape(len(X), k, X.shape[1] // k).mean(-1) / intensity[:, None]
            found[kind] = np.square(pairs).sum(0) / self.sequences
        # A source that never excited anything carries no evidence: penalised as if it carried a little, it goes to 0.
        return np.maximum(found, 1e-6)

    def solve(
        self, weights: np.ndarray, baseline: np.ndarray, branching: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """mu (k,) and G (k, k r) that maximise log-likelihood / sequences - weights G, and the log-likelihood (k,)."""
        baseline, branching, value = baseline.copy(), branching.copy(), np.zeros(len(baseline))
        for kind, X in enumerate(self.features):
            linear = np.concatenate([[self.duration], self.exposure[kind] + self.sequences * weights[kind]])
            floor = np.concatenate([[self.floor[kind]], np.zeros(X.shape[1])])
            start = np.maximum(np.concatenate([[baseline[kind]], branching[kind]]), floor)
            best, least = _minimise(X, linear, start, floor)
            baseline[kind], branching[kind] = best[0], best[1:]
            value[kind] = self.sequences * weights[kind] @ best[1:] - least
        return baseline, branching, value


def _minimise(X: np.ndarray, linear: np.ndarray, x: np.ndarray, floor: np.ndarray) -> tuple[np.ndarray, float]:
    """linear x - sum log(x_0 + X x_1..) over x >= floor, by damped Newton steps: its place and its value."""

    def value_at(x: np.ndarray) -> tuple[float, np.ndarray]:
        intensity = x[0] + X @ x[1:]
        return float(linear @ x - np.log(intensity).sum()), intensity

    value, intensity = value_at(x)
    damping = 0.0
    none = np.zeros(0)
    for _ in range(ITERATIONS):
        scores = np.hstack([1 / intensity[:, None], X / intensity[:, None]])
        model = Quadratic(
            [linear - scores.sum(0), none], [scores.T @ scores], [np.zeros((len(x), 0))], np.zeros((0, 0))
        )
        gain = -np.inf
        while gain < 0 and damping < 1e9:
            step, _ = model.damped(damping).step([floor - x, none], [np.full(len(x), np.inf), none])
            ahead = np.maximum(x + step, floor)
            reached, passed = value_at(ahead)
            gain = value - reached
            damping = max(10 * damping, 1e-3) if gain < 0 else damping / 10
        if gain < 0:
            break
        x, value, intensity = ahead, reached, passed
        if gain < ENOUGH * max(len(X), 1):
            break
    return x, value
