"""The classical likelihood with its decay rates held: one small concave problem a type."""

from __future__ import annotations

import numpy as np
import torch

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events, window_bounds


class Regression:
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

    @torch.no_grad()
    def put(self, baseline: np.ndarray, branching: np.ndarray) -> None:
        """Give the process these parameters."""
        self.process.baseline.copy_(torch.from_numpy(baseline))
        self.process.excitation.branching.copy_(torch.from_numpy(branching).view(self.shape))

    def get(self) -> tuple[np.ndarray, np.ndarray]:
        """The process's baseline (k,) and branching (k, k r)."""
        matrix = self.process.excitation.branching.detach().flatten(1)
        return self.process.baseline.detach().numpy().copy(), matrix.numpy().copy()

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

    def units(self, baseline: np.ndarray, branching: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Steps of mu (k,) and G (k k r,) at which the log-likelihood an event bends by the same amount: its curvature^-1/2."""
        count = sum(len(X) for X in self.features)
        own, pairs = np.empty_like(baseline), np.empty_like(branching)
        for kind, X in enumerate(self.features):
            rate = baseline[kind] + X @ branching[kind]
            own[kind] = np.square(1 / rate).sum() / count
            pairs[kind] = np.square(X / rate[:, None]).sum(0) / count
        # what is hardly ever seen would otherwise get a step without bound
        return 1 / np.sqrt(np.maximum(own, self.duration**2 / count**2 * 1e-4)), 1 / np.sqrt(
            np.maximum(pairs, 1e-6)
        ).ravel()

    def solve(self, weights: np.ndarray, baseline: np.ndarray, branching: np.ndarray) -> tuple[np.ndarray, ...]:
        """mu (k,) and G (k, k r) that maximise log-likelihood / sequences - weights G, and the log-likelihood (k,)."""
        from scipy.optimize import minimize

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
