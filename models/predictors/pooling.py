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

    def forward(self, rows: Tensor, mask: Tensor, transform: Tensor, bias: Tensor) -> Tensor:
        """The pooled rows h_j = rows_j transform + bias: (v, d), zeros where a video has no row.

        rows: (v, n, w), mask: (v, n) bool, transform: (w, d), bias: (d,). The weights sum to 1, so the mean of the h_j
        is the transform of the mean of the rows, and the h_j themselves, n products a video, are never made.
        """
        scores = rows @ (transform @ self.context) * len(self.context) ** -0.5  # (v, n); softmax drops bias.V
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
        pooled = (weights.unsqueeze(1) @ rows).squeeze(1) @ transform + bias
        return pooled * mask.any(-1, keepdim=True)
