"""Graph of the most similar videos, and its normalised Laplacian."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array

from models.predictors.installed_extra import import_library


def scaled_laplacian(rows: np.ndarray, *, neighbours: int) -> csr_array | None:
    """Return L / tr(L) of a nearest-neighbour graph, with L = I - D^-1/2 S D^-1/2 (TMALL, section 3.2).

    S_ij = exp(-|x_i - x_j|^2 / sigma) if j is one of i's nearest neighbours or i one of j's, else 0. sigma is the median of the
    squared distances between neighbours.

    Args:
        rows: (n, d) vectors; NaN for a video without one. Such a video has no neighbours and a zero row in L.
        neighbours: Neighbours per video.

    Returns:
        (n, n) sparse and symmetric; None if fewer than two videos have a vector.
    """
    there = np.flatnonzero(~np.isnan(rows).any(1))
    if len(there) < 2:
        return None
    nearest = import_library("sklearn.neighbors").NearestNeighbors(n_neighbors=min(neighbours, len(there) - 1))
    distance, found = nearest.fit(rows[there]).kneighbors()
    squares = distance.astype(np.float64) ** 2
    sigma = np.median(squares)
    near = np.exp(-squares / (sigma if sigma > 0 else 1.0))
    pairs = (there.repeat(found.shape[1]), there[found.ravel()])
    similar = csr_array((near.ravel(), pairs), shape=(len(rows), len(rows)))
    similar = similar.maximum(similar.T)
    degree = similar.sum(1)
    root = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    laplacian = diags_array((degree > 0).astype(np.float64)) - diags_array(root) @ similar @ diags_array(root)
    return csr_array(laplacian / laplacian.trace())
