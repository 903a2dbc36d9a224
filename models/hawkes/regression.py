"""The classical likelihood at fixed decay rates: one small concave problem per type."""

from __future__ import annotations

import numpy as np

from models.events import EventBatch
from models.hawkes.bounded_newton import Quadratic
from models.hawkes.classical_features import features_of
from models.hawkes.scoring import Parameters

ITERATIONS = 60
ENOUGH = 1e-11  # least gain of a step, in nats per event of the type; a smaller gain ends the iteration


class Regression:
    """The sum of log(mu_k + X_i G_k) over the events of type k, minus a linear term, at fixed decay rates.

    The features X are computed once, and each type is a problem of its own. So a whole path of penalties costs little.

    Attributes:
        features: For each type, X (n_k, k r).
        exposure: (k, k r), the share of its offspring that each event had time for, summed by type.
        duration: Total length of the windows.
        sequences: Number of sequences.
        floor: (k,), lower bounds of the baselines.
    """

    def __init__(
        self, batches: list[EventBatch], window: str, at: Parameters, decays: int, sequences: int, floor: np.ndarray
    ) -> None:
        """Compute the features.

        Args:
            batches: The training sequences.
            window: "observation" or "events".
            at: Parameters whose decay rates are used.
            decays: Exponentials per pair.
            sequences: Number of sequences.
            floor: (k,), lower bounds of the baselines.
        """
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
        """Return the Fisher information (k, k) per sequence of the branching matrix, averaged over the decays."""
        k = len(baseline)
        result = np.empty((k, k))
        for kind, X in enumerate(self.features):
            intensity = baseline[kind] + X @ branching[kind]
            pairs = X.reshape(len(X), k, X.shape[1] // k).mean(-1) / intensity[:, None]
            result[kind] = np.square(pairs).sum(0) / self.sequences
        # A type that never excited anything has no information. With this lower bound it still gets a penalty, so its
        # influence goes to 0.
        return np.maximum(result, 1e-6)

    def solve(
        self, weights: np.ndarray, baseline: np.ndarray, branching: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Maximise log-likelihood / sequences - weights G.

        Args:
            weights: (k, k r), the linear penalty per sequence.
            baseline: mu (k,) to start from.
            branching: G (k, k r) to start from.

        Returns:
            mu (k,), G (k, k r), and the log-likelihood (k,) by type.
        """
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
    """Minimise linear x - sum log(x_0 + X x_1..) over x >= floor by damped Newton steps; return x and the value."""

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
