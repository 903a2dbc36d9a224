"""A two-layer perceptron on the vectors of a user and of a candidate side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PairScore(nn.Module):
    """MLP([q, x_e]): one hidden layer with ReLU, one number per candidate; with `product` plus w . (q * x_e).

    The hidden layer is computed as W_q q + W_x x + b, so that a user's vector is multiplied once for all of its candidates,
    and an item's once for all of its users. A perceptron on both vectors side by side learns slowly that they resemble each
    other; the product says so from the start, as in NCF.
    """

    def __init__(self, user_width: int, item_width: int, hidden: int, *, product: bool = False) -> None:
        """Build the layers for vectors q of `user_width` and x_e of `item_width`; with `product` both have one width."""
        super().__init__()
        self.user, self.item = nn.Linear(user_width, hidden), nn.Linear(item_width, hidden, bias=False)
        self.output = nn.Linear(hidden, 1)
        self.product = nn.Parameter(torch.full((item_width,), 1 / item_width)) if product else None

    def forward(self, user: Tensor, items: Tensor, candidate: Tensor) -> Tensor:
        """Return scores (b, c).

        Args:
            user: (b, q) or, if it depends on the candidate, (b, c, q).
            items: (m, x) vectors of the batch's items.
            candidate: (b, c) places in `items`.
        """
        user = user.unsqueeze(1) if user.dim() == 2 else user
        score = self.output((self.user(user) + self.item(items)[candidate]).relu()).squeeze(-1)
        return score if self.product is None else score + (user * self.product * items[candidate]).sum(-1)
