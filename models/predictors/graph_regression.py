"""Regression on several similarity graphs at once: the alternating minimisation of TMALL (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import cg

TOLERANCE = 1e-4  # relative change of the objective at which the alternation stops
ROUNDS = 50


@dataclass(frozen=True)
class GraphWeights:
    """Weights of the objective's terms.

    Attributes:
        agreement: lambda, how closely the combined Laplacian follows each modality's own.
        smoothness: mu, how closely a forecast follows those of similar videos.
        penalty: theta, of the squared weights of the modalities.
    """

    agreement: float
    smoothness: float
    penalty: float


@dataclass
class GraphRegression:
    """The problem of n videos, of which some have a label.

    sum_labelled (y_i - f_i)^2 + lambda sum_k |sum_j beta_j L_j - L_k|_F^2 + mu f' (sum_k beta_k L_k) f + theta |beta|^2 is
    minimised over f and beta, where the weights beta of the modalities sum to 1. They are also at least 0, which the paper
    does not ask for: a negative one could leave the problem without a minimum.

    Attributes:
        laplacians: (n, n) sparse L_k per modality, divided by its trace.
        labelled: (n,) bool.
        label: (n,) standardised labels; the values of the others are ignored.
        weights: Weights of the terms.
        objectives: Value of the objective at the start and after each half step of `solve`.
    """

    laplacians: Sequence[csr_array]
    labelled: np.ndarray
    label: np.ndarray
    weights: GraphWeights
    objectives: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Compute what the half steps share."""
        self._known = np.where(self.labelled, self.label, 0.0)
        # tr(L_j L_k) of symmetric matrices is the sum of the products of their entries.
        self._traces = np.array(
            [[first.multiply(second).sum() for second in self.laplacians] for first in self.laplacians]
        )

    def solve(self) -> tuple[np.ndarray, np.ndarray]:
        """Return f (n,) and beta (modalities,), by turns from equal weights, until the objective hardly changes."""
        beta = np.full(len(self.laplacians), 1.0 / len(self.laplacians))
        forecast = np.zeros(len(self.label))
        self.objectives = [self.objective(forecast, beta)]
        for _ in range(ROUNDS):
            before = self.objectives[-1]
            forecast = self.forecast(beta, start=forecast)
            self.objectives.append(self.objective(forecast, beta))
            beta = self.modality_weights(forecast)
            self.objectives.append(self.objective(forecast, beta))
            if before - self.objectives[-1] <= TOLERANCE * abs(before):
                break
        return forecast, beta

    def objective(self, forecast: np.ndarray, beta: np.ndarray) -> float:
        """Return the objective's value."""
        error = np.where(self.labelled, self.label - forecast, 0.0)
        return float(error @ error + self._beta_terms(beta, self._roughness(forecast)))

    def forecast(self, beta: np.ndarray, *, start: np.ndarray | None = None) -> np.ndarray:
        """Return f = (I_labelled + mu sum_k beta_k L_k)^-1 y, by conjugate gradients.

        Videos that no similar video leads to a label stay at 0, the mean of the labels.
        """
        system = diags_array(self.labelled.astype(np.float64)) + self.weights.smoothness * self._combined(beta)
        return cg(system, self._known, x0=start, rtol=1e-12, atol=0.0, maxiter=10 * len(self.label))[0]

    def modality_weights(self, forecast: np.ndarray) -> np.ndarray:
        """Return the best beta for a forecast.

        Without the bound at 0 it is beta = H^-1 (r - nu 1) with H = 2 (m lambda A + theta I), A_jk = tr(L_j L_k),
        r = 2 lambda A 1 - mu (f' L_j f)_j, and nu from sum beta = 1. With the bound it is that of the best subset of the m
        modalities, which are at most four.
        """
        rough, modalities = self._roughness(forecast), len(self.laplacians)
        quadratic = 2 * (modalities * self.weights.agreement * self._traces + self.weights.penalty * np.eye(modalities))
        linear = 2 * self.weights.agreement * self._traces.sum(1) - self.weights.smoothness * rough
        candidates = []
        for size in range(1, modalities + 1):
            for chosen in map(list, combinations(range(modalities), size)):
                part = quadratic[np.ix_(chosen, chosen)]
                of_linear, of_one = np.linalg.solve(part, np.column_stack([linear[chosen], np.ones(size)])).T
                beta = np.zeros(modalities)
                beta[chosen] = of_linear - (of_linear.sum() - 1) / of_one.sum() * of_one
                if (beta >= 0).all():
                    candidates.append(beta)
        return min(candidates, key=lambda beta: self._beta_terms(beta, rough))

    def _combined(self, beta: np.ndarray) -> csr_array:
        return sum(weight * laplacian for weight, laplacian in zip(beta, self.laplacians, strict=True))

    def _roughness(self, forecast: np.ndarray) -> np.ndarray:
        """Return f' L_k f per modality."""
        return np.array([forecast @ (laplacian @ forecast) for laplacian in self.laplacians])

    def _beta_terms(self, beta: np.ndarray, roughness: np.ndarray) -> float:
        """Return the three terms that depend on beta."""
        apart = len(beta) * beta @ self._traces @ beta - 2 * beta @ self._traces.sum(1) + self._traces.trace()
        use = self.weights
        return float(use.agreement * apart + use.smoothness * beta @ roughness + use.penalty * beta @ beta)
