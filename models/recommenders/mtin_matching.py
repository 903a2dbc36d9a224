"""Matching scores between a user's clicks and interest groups (MTIN eq. 2-4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

START = 3.0  # score of a click at a group's centre; a click at the usual distance from it scores 0


class GroupMatching(nn.Module):
    """Matching scores by co-attention of clicks and groups.

        s_{j,g} = W_s tanh(W_v x_j + b_v + W_u c_g + b_u) + b_s                      (2)
        x^_j = s_{j,g} * x_j,    c^_g = s_{j,g} * c_g                                 (3)
        p_{g<-j} = w_h . ReLU(W_l [x^_j, c^_g] + b_l) + b_h                           (4)

    The paper does not name the two activations; they are our choice.
    """

    def __init__(self, width: int) -> None:
        """Build the layers for vectors of `width` d."""
        super().__init__()
        self.item, self.group = nn.Linear(width, width), nn.Linear(width, width)  # W_v, b_v and W_u, b_u
        self.attention = nn.Linear(width, width)  # W_s, b_s
        self.hidden = nn.Linear(2 * width, width)  # W_l, b_l
        self.output = nn.Linear(width, 1)  # w_h, b_h

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """Return the scores p (b, L, s) of clicks x (b, L, d) and groups c (b, s, d)."""
        s = self.attention((self.item(x).unsqueeze(2) + self.group(c).unsqueeze(1)).tanh())  # (b, L, s, d)
        # [x^, c^] W_l as a sum over both halves, without a copy of them side by side
        of_item, of_group = self.hidden.weight.split(x.shape[-1], 1)
        hidden = functional.linear(s * x.unsqueeze(2), of_item, self.hidden.bias)
        hidden = hidden + functional.linear(s * c.unsqueeze(1), of_group)
        return self.output(hidden.relu()).squeeze(-1)

    @torch.no_grad()
    def start_as_distance(self, distance: float) -> None:
        """Set weights such that scores fall with the distance between click and group.

        With s = 1 and W_l [x, c] = [R (x - c), -R (x - c)], R random and orthogonal, p is START minus a multiple of the
        distance |R (x - c)|_1 in half as many dimensions. At random weights, groups would be random too, and the
        routing gives no gradient that could change this much.

        Args:
            distance: Median of |x - c|_2 between a click and the nearest group of its user, which will score 0. The
                median is little moved by false clicks.
        """
        width = self.output.in_features
        half = width // 2
        turn = torch.linalg.qr(torch.randn(width, half, dtype=torch.float64)).Q.T.to(self.hidden.weight.dtype)
        self.attention.weight.zero_()
        self.attention.bias.fill_(1.0)
        self.hidden.weight.zero_()
        self.hidden.bias.zero_()
        self.hidden.weight[: 2 * half] = torch.cat([torch.cat([turn, -turn], 1), torch.cat([-turn, turn], 1)])
        # |R v|_1 is about half sqrt(2 / pi) |v|_2 / sqrt(d) for a direction v without preference
        spread = half * (2 / torch.pi) ** 0.5 / width**0.5 * max(distance, 1e-6)
        self.output.weight.fill_(-START / spread)
        self.output.bias.fill_(START)
