"""Embedding of category paths of any depth: hierarchical (DSN section 3.4), or one of the simpler forms of its table 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from models.predictors.gated_layers import Gate

CategoryForm = Literal["hierarchical", "concatenation", "sum", "level"]


class CategoryEmbedding(nn.Module):
    """Turns a path of category codes, one per level from the coarsest to the finest, into a vector.

    With e^k the embedding of the code at level k, and [x, y] two vectors side by side:

    - "hierarchical": f^1 = e^1 W_1, f^k = [e^k, Gate_k(f^{k-1}, e^k)] W_k, and the last f is the output (DSN eq. 6-9). The
      paper prints no first layer; a gate of a level before the first would only add a constant.
    - "concatenation": [e^1, ..., e^D] W. "sum": e^1 + ... + e^D. "level": e^k of one level k.

    Code 0 stands for an unknown category and for a missing level. Its vector starts at zero.
    """

    def __init__(self, sizes: Sequence[int], width: int, *, form: CategoryForm, level: int, dropout: float) -> None:
        """Build the layer.

        Args:
            sizes: Per level, the number of known categories. Their codes count from 1.
            width: d, the width of the output.
            form: How the levels are combined.
            level: k for the form "level", counted from 1; else ignored.
            dropout: Dropout rate of the embeddings.
        """
        super().__init__()
        self.form, self.levels = form, list(range(len(sizes))) if form != "level" else [level - 1]
        self.embed = nn.ModuleList(nn.Embedding(1 + sizes[level], width) for level in self.levels)
        for embedding in self.embed:
            nn.init.zeros_(embedding.weight[0])
        self.dropout = nn.Dropout(dropout)
        if form == "hierarchical":
            inputs = [width, *[2 * width] * (len(sizes) - 1)]
            self.combine = nn.ModuleList(nn.Linear(count, width, bias=False) for count in inputs)
            self.gates = nn.ModuleList(Gate(width, dropout=dropout, two_inputs=True) for _ in inputs[1:])
        elif form == "concatenation":
            self.combine = nn.Linear(len(sizes) * width, width, bias=False)

    def forward(self, codes: Tensor) -> Tensor:
        """Return vectors (..., d) for codes (..., D)."""
        by_level = [self.dropout(embed(codes[..., k])) for k, embed in zip(self.levels, self.embed, strict=True)]
        if self.form == "concatenation":
            return self.combine(torch.cat(by_level, -1))
        if self.form != "hierarchical":
            return torch.stack(by_level).sum(0)
        vector = self.combine[0](by_level[0])
        for own, gate, combine in zip(by_level[1:], self.gates, self.combine[1:], strict=True):
            vector = combine(torch.cat([own, gate(vector, own)], -1))
        return vector
