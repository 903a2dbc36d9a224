"""Attentive pooling: a sequence of rows as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentivePooling(nn.Module):
    """The mean of a sequence's rows, weighted by how well each fits a learned vector V.

    Sun and Lu, "Understanding attention for text classification", 2020, scaled dot-product form: a_j = h_j.V / lambda,
    weights softmax(a). Their lambda is a hyper-parameter; it is sqrt(d) here. V starts at zero: plain mean pooling.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.zeros(width))
        self.scale = width**-0.5

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """rows: (v, n, d), mask: (v, n) bool. Returns (v, d), zeros where a video has no row."""
        scores = (rows @ self.context) * self.scale  # (v, n)
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        pooled = (scores.softmax(-1).unsqueeze(-1) * rows).sum(-2)
        return pooled * mask.any(-1, keepdim=True)
