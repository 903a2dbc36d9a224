"""How far the distribution of a bank's vectors has moved from one version to the next (M3TR appendix H.3, monitoring)."""

from dataclasses import dataclass

import numpy as np

SAMPLE = 1000  # vectors of each version


@dataclass(frozen=True)
class Drift:
    """energy: 0 where the two distributions are equal, towards 1 the further apart they are; mean_shift: distance of the
    means in units of the older one's spread; similarities: 0 to 1, how differently similar their members are among
    themselves. The first two are None where vectors of different encoders cannot be compared.
    """

    energy: float | None
    mean_shift: float | None
    similarities: float


def drift(old: np.ndarray, new: np.ndarray, *, comparable: bool = True, seed: int = 0) -> Drift | None:
    """Drift between the vectors (n, d) of two versions, on samples of at most 1,000; None with fewer than 2 of either.

    energy is the energy coefficient of Szekely and Rizzo (Energy statistics, 2013, section 4),

        H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|),

    which is 0 exactly where the distributions are equal, whatever they differ in (place, spread, shape). It has no
    scale, needs no covariance (of 1,024 dimensions from some hundred vectors), and estimated without the pairs of a
    vector with itself it is not biased by the sample's size.

    similarities is the Kolmogorov-Smirnov distance between the inner products of random pairs in each version. It does
    not depend on the space, so that it also compares versions of different encoders: a collapsed one shows.
    """
    if min(len(old), len(new)) < 2:
        return None
    random = np.random.default_rng(seed)
    x, y = (_sample(vectors, random) for vectors in (old, new))
    similarities = _kolmogorov_smirnov(_pairs(x @ x.T), _pairs(y @ y.T))
    if not comparable or x.shape[1] != y.shape[1]:
        return Drift(None, None, similarities)
    across = _distances(x, y).mean()
    within = _pairs(_distances(x, x)).mean() + _pairs(_distances(y, y)).mean()
    spread = np.sqrt(x.var(axis=0).sum())
    shift = np.linalg.norm(y.mean(axis=0) - x.mean(axis=0))
    return Drift(
        energy=float(max((2 * across - within) / (2 * across), 0.0)) if across > 0 else 0.0,
        mean_shift=float(shift / spread) if spread > 0 else float(np.inf if shift > 0 else 0.0),
        similarities=similarities,
    )


def _sample(vectors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    rows = np.sort(random.permutation(len(vectors))[:SAMPLE])
    return vectors[rows].astype(np.float64)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    return np.sqrt(np.maximum(squares, 0))


def _pairs(values: np.ndarray) -> np.ndarray:
    """Of a symmetric matrix (n, n), the values of the pairs of two different ones."""
    return values[np.triu_indices(len(values), k=1)]


def _kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.sort(a), np.sort(b)
    every = np.concatenate([a, b])
    steps = [np.searchsorted(values, every, side="right") / len(values) for values in (a, b)]
    return float(np.abs(steps[0] - steps[1]).max())
