"""Weighted means of retrieved videos: their weights by similarity, and the means of their rows (MMRA eq. 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from models.predictors.attention import masked_softmax
from models.predictors.content_sequences import MaskedRows
from models.predictors.features import NeighbourBatch


def neighbour_weights(neighbourhood: NeighbourBatch, *, temperature: float = 1.0, normalise: bool = False) -> Tensor:
    """Return the softmax of the similarities, (b, S); zeros for a video without neighbours.

    Args:
        neighbourhood: The neighbours of b videos.
        temperature: What the similarities are divided by. Similarities differ little, so at 1, the papers' form, the weights
            are nearly equal; a lower temperature prefers the most similar videos.
        normalise: Whether to map each video's similarities to [0, 1] first, from the lowest to the highest (MUFM appendix 4
            has normalised similarities and does not say how).
    """
    score, mask = neighbourhood.score, neighbourhood.mask
    if normalise and score.shape[1]:
        highest, lowest = (
            (sign * score).masked_fill(~mask, -torch.inf).amax(1, keepdim=True) * sign for sign in (1.0, -1.0)
        )
        spread = highest - lowest
        score = torch.where(mask & (spread > 0), (score - lowest) / spread, 0.0)
    return masked_softmax(score / temperature, mask, dim=1)


def weight_matrix(weights: Tensor, index: Tensor, videos: int) -> Tensor:
    """Return the weights (b, S) as a matrix over the distinct videos.

    Args:
        weights: (b, S), 0 for a masked neighbour.
        index: (b, S), positions among the distinct videos.
        videos: u, the number of distinct videos.

    Returns:
        (b, u), the weight of each video in each of the b means.
    """
    matrix = weights.new_zeros(len(weights), videos)
    return matrix.scatter_add_(1, index, weights) if videos else matrix


def mean_rows(rows: MaskedRows, matrix: Tensor) -> MaskedRows:
    """Average videos row by row: the first row of one with the first row of the next (MMRA eq. 4).

    A row's weights are renormalised over the videos that have it, so padding changes nothing.

    Args:
        rows: Rows of u videos.
        matrix: (b, u), from `weight_matrix`.

    Returns:
        Rows of b videos; masked where none of a video's neighbours has the row.
    """
    u, n, d = rows.values.shape
    total = matrix @ rows.mask.to(matrix.dtype)  # (b, n)
    mask = total > 0
    values = rows.values * rows.mask.unsqueeze(-1)
    mean = (matrix @ values.view(u, n * d)).view(-1, n, d) / torch.where(mask, total, 1.0).unsqueeze(-1)
    return MaskedRows(mean, mask)
