"""Attentive pooling: it reduces a sequence of rows to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentivePooling(nn.Module):
    """Weighted mean of a sequence's rows; a row's weight grows with its product with a learned vector V.

    This is the scaled dot-product form of Sun and Lu, "Understanding attention for text classification", 2020:
    a_j = h_j.V / lambda, weights softmax(a). Their lambda is a hyper-parameter; here it is sqrt(d). V starts at zero, so
    an untrained layer computes the plain mean.
    """

    def __init__(self, width: int) -> None:
        """Build the layer for pooled vectors of `width` d."""
        super().__init__()
        self.context = nn.Parameter(torch.zeros(width))

    def forward(
        self, rows: Tensor, mask: Tensor, transform: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """Pool the rows h_j = rows_j transform + bias.

        The weights sum to 1, so the mean of the h_j equals the transformed mean of the rows. The h_j themselves, n matrix
        products per video, are not computed.

        Args:
            rows: (v, n, w) rows before the transformation.
            mask: (v, n) bool, True where there is a row.
            transform: (w, d) matrix; None for the identity.
            bias: (d,) vector; None for zero.

        Returns:
            (v, d), zero where a video has no row.
        """
        direction = self.context if transform is None else transform @ self.context
        scores = rows @ direction * len(self.context) ** -0.5  # (v, n); bias.V is omitted, softmax ignores it
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
        pooled = (weights.unsqueeze(1) @ rows).squeeze(1)
        if transform is not None:
            pooled = pooled @ transform
        if bias is not None:
            pooled = pooled + bias
        return pooled * mask.any(-1, keepdim=True)
