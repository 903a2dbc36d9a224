"""Interest centres of users: k-means over the vectors of their clicks."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

STARTS = 4  # k-means runs per user, of which the one with the smallest squared distances counts


def interest_centres(vectors: np.ndarray, groups: int, *, seed: int) -> np.ndarray:
    """Return k-means centres (groups, d) of vectors (n, d), n at least 1.

    The starts are drawn by k-means++. With fewer distinct vectors than groups, all distinct vectors are centres and the first
    of them are repeated.

    Args:
        vectors: Vectors of clicks.
        groups: Number of centres.
        seed: Seed of the starts.

    Example:
        >>> interest_centres(np.array([[0.0], [0.2], [4.0], [4.2]]), 2, seed=0).round(1).ravel().tolist()
        [0.1, 4.1]
    """
    distinct = np.unique(vectors, axis=0)
    if len(distinct) <= groups:
        return np.resize(distinct, (groups, vectors.shape[1]))
    random = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a centre without a member stays where it was
        runs = [kmeans2(vectors.astype(np.float64), groups, minit="++", seed=random)[0] for _ in range(STARTS)]
    centres = min(runs, key=lambda run: (nearest_distance(vectors, run) ** 2).sum())
    return centres[np.lexsort(centres.T[::-1])]


def nearest_distance(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the distance of each vector (n, d) to the nearest centre (g, d), (n,)."""
    return np.linalg.norm(vectors[:, None] - centres, axis=-1).min(1)
