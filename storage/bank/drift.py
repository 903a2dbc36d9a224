"""Drift: how much the distribution of a bank's vectors differs between two versions (M3TR appendix H.3, monitoring)."""

from dataclasses import dataclass

import numpy as np

SAMPLE = 1000  # vectors sampled from each version


@dataclass(frozen=True)
class Drift:
    """Three measures of drift. The first two are None if different encoders made the vectors.

    Attributes:
        energy: Energy coefficient, 0 for equal distributions and at most 1.
        mean_shift: Distance between the means, in units of the older version's spread.
        similarities: 0 to 1, distance between the distributions of the similarities within each version.
    """

    energy: float | None
    mean_shift: float | None
    similarities: float


def drift(old: np.ndarray, new: np.ndarray, *, comparable: bool = True, seed: int = 0) -> Drift | None:
    """Return the drift between the vectors of two versions.

    `energy` is the energy coefficient of Szekely and Rizzo (Energy statistics, 2013, section 4),

        H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|),

    which is 0 only if the distributions are equal; it detects differences in location, spread and shape. It is free of
    scale and needs no covariance matrix (1,024 dimensions, a few hundred vectors). Pairs of a vector with itself are left
    out, so that the estimate is unbiased for any sample size.

    `similarities` is the Kolmogorov-Smirnov distance between the inner products of pairs within each version. It does not
    depend on the space, so it also compares versions of different encoders and detects a collapsed encoder.

    Args:
        old: (n, d) vectors of the older version.
        new: (m, d) vectors of the newer version.
        comparable: Whether the same encoder made both.
        seed: Seed of the samples of at most 1,000 vectors.

    Returns:
        The drift; None if there are fewer than two old or new vectors.

    Example:
        >>> vectors = np.random.default_rng(0).normal(size=(200, 4))
        >>> drift(vectors, vectors + 3).energy > 0.5
        True
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
    """Return the values above the diagonal of a symmetric matrix (n, n): one per pair of different rows."""
    return values[np.triu_indices(len(values), k=1)]


def _kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.sort(a), np.sort(b)
    every = np.concatenate([a, b])
    steps = [np.searchsorted(values, every, side="right") / len(values) for values in (a, b)]
    return float(np.abs(steps[0] - steps[1]).max())
