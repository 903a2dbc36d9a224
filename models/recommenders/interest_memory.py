"""Interest centres of users: k-means over the vectors of their clicks."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2


def interest_centres(vectors: np.ndarray, groups: int, *, seed: int) -> np.ndarray:
    """Return k-means centres (groups, d) of vectors (n, d), n at least 1.

    The starts are drawn by k-means++. With fewer distinct vectors than groups, all distinct vectors are centres and
    the first of them are repeated.

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a centre without a member stays where it was
        centres, _ = kmeans2(vectors.astype(np.float64), groups, minit="++", seed=seed)
    return centres[np.lexsort(centres.T[::-1])]
