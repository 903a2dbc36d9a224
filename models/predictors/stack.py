"""Convex combination of predictors, with weights fitted on validation forecasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FOLDS = 10
CONFIDENCE = 0.7  # one-sided; see `fit_stack`
SUM_WEIGHT = 1e4  # how strongly least squares is told that the weights sum to 1, in units of the largest difference


@dataclass(frozen=True)
class Stack:
    """Weights of the members.

    Attributes:
        weights: (m,) at least 0, sum 1.
        trust: In [0, 1]: how much of the weights is the fit on validation items; the rest is the prior.
        validated: (s, n) combined forecasts of the validation windows. Each item's forecast uses weights that were fitted
            without that item.
    """

    weights: np.ndarray
    trust: float
    validated: np.ndarray


def fit_stack(forecasts: np.ndarray, target: np.ndarray, items: np.ndarray, *, prior: np.ndarray) -> Stack:
    """Fit a convex combination to validation forecasts, and shrink it towards a prior where the evidence is weak.

    The least-squares weights on the simplex are cross-validated over items. Their gain over the prior has a mean D and a
    standard error E over the items. The result is prior + trust (fitted - prior), with trust = max(0, 1 - (t E / D)^2) for
    D > 0, the positive-part James-Stein factor, and t the quantile of Student's distribution for the number of items. Two or
    three validation items thus leave the prior nearly as it is, and some hundred items with a clear gain overrule it.

    Args:
        forecasts: (s, n, m) forecasts by m members for n windows, for each of s seeds.
        target: (n,) known targets.
        items: (n,) item of each window; an item's windows are left out together.
        prior: (m,) weights to start from, at least 0, sum 1.

    Returns:
        The weights.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> target = generator.normal(size=200)
        >>> good, bad = target + 0.1 * generator.normal(size=200), generator.normal(size=200)
        >>> stack = fit_stack(np.stack([good, bad], -1)[None], target, np.arange(200), prior=np.array([0.0, 1.0]))
        >>> stack.weights.round(1).tolist()
        [1.0, 0.0]
    """
    _, item = np.unique(items, return_inverse=True)
    count = item.max() + 1
    by_prior = forecasts @ prior  # (s, n)
    if count < 3:
        return Stack(prior, 0.0, by_prior)
    fold = np.random.default_rng(0).permutation(count)[item] % min(FOLDS, count)
    without = np.empty_like(by_prior)
    for part in range(fold.max() + 1):
        out = fold == part
        without[:, out] = forecasts[:, out] @ _on_simplex(forecasts[:, ~out], target[~out])
    gain = ((by_prior - target) ** 2 - (without - target) ** 2).mean(0)  # (n,)
    by_item = np.bincount(item, weights=gain) / np.bincount(item)
    mean, error = by_item.mean(), by_item.std(ddof=1) / np.sqrt(count)
    from scipy import stats  # takes a second to load, which only a fit should pay

    quantile = stats.t.ppf(CONFIDENCE, count - 1)
    trust = max(0.0, 1.0 - (quantile * error / mean) ** 2) if mean > 0 else 0.0
    weights = prior + trust * (_on_simplex(forecasts, target) - prior)
    return Stack(weights, trust, by_prior + trust * (without - by_prior))


def _on_simplex(forecasts: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the least-squares weights (m,) that are at least 0 and sum to 1."""
    from scipy import optimize

    rows = forecasts.reshape(-1, forecasts.shape[-1])
    aims = np.broadcast_to(target, forecasts.shape[:-1]).reshape(-1)
    # Differences from the mean of the members keep the problem well conditioned; with sum 1 the result is the same.
    centre = rows.mean(1)
    differences = rows - centre[:, None]
    strong = SUM_WEIGHT * max(np.abs(differences).max(), 1e-9)
    weights, _ = optimize.nnls(
        np.vstack([differences, np.full(rows.shape[1], strong)]), np.append(aims - centre, strong)
    )
    return weights / weights.sum()
