"""Gated linear units and gated residual networks (Lim et al. 2021, as DSN uses them)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gate(nn.Module):
    """Gated linear unit with one or two inputs, DSN eq. 7: (x W_1 + b_1) * sigmoid(x W_2 + y W_3 + b_2)."""

    def __init__(self, width: int, *, dropout: float, two_inputs: bool = False) -> None:
        """Build the layer.

        Args:
            width: d, the width of the inputs and of the output.
            dropout: Dropout rate of x.
            two_inputs: Whether there is a second input y.
        """
        super().__init__()
        self.value, self.gate = nn.Linear(width, width), nn.Linear(width, width)
        self.gate_of_other = nn.Linear(width, width, bias=False) if two_inputs else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the gated x, (..., d); y is given if the layer has two inputs."""
        x = self.dropout(x)
        openness = self.gate(x)
        if self.gate_of_other is not None:
            openness = openness + self.gate_of_other(y)
        return self.value(x) * torch.sigmoid(openness)


class GatedResidual(nn.Module):
    """Gated residual network, DSN eq. 14-16: LayerNorm(x + Gate(W_1 ELU(W_2 x + b_2) + b_1))."""

    def __init__(self, width: int, *, dropout: float) -> None:
        """Build the layer.

        Args:
            width: d, the width of input and output.
            dropout: Dropout rate of the gate's input.
        """
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.gate, self.norm = Gate(width, dropout=dropout), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output (..., d) for x (..., d)."""
        return self.norm(x + self.gate(self.outer(functional.elu(self.inner(x)))))
