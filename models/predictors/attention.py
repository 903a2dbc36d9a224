"""Bipolar cross-attention: what two sequences agree on, and what they contradict each other in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BipolarAttention(nn.Module):
    """The attention of one pair of modalities, both ways and both signs: M3TR eq. 29-32 (MMRA eq. 2, 3).

    Of a query sequence X and a key sequence Y, with projections of its own for each sign:

        positive = softmax(alpha QK'/sqrt(d)) V        negative = softmax(-(1 - alpha) QK'/sqrt(d)) V

    As the equations' symbols have it, the projections W_P and W_N are the same for both directions of a pair, and
    another pair has others. (W_N's value projection is printed W_N^C.) No biases, as printed.
    """

    def __init__(self, width: int, *, alpha: float = 0.8, positive: bool = True, negative: bool = True) -> None:
        """width: d; alpha: in [0, 1]; positive, negative: whether that sign is there (zeros stand for it if not)."""
        super().__init__()
        self.width = width
        self.used = (positive, negative)
        # Q, K, V of the positive attention and Q, K, V of the negative one, side by side: one product for all six.
        self.projections = nn.Linear(width, 6 * width, bias=False)
        self.register_buffer("scale", torch.tensor([alpha, alpha - 1.0]) / width**0.5, persistent=False)

    def forward(self, x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor) -> tuple[Tensor, Tensor]:
        """x: (v, n, d), y: (v, m, d), masks (v, n), (v, m), True where there is a row; of v videos.

        Returns what x's rows found in y, (v, n, 2d), and what y's rows found in x, (v, m, 2d): positive and negative
        concatenated. They have the length of the query: eq. 29 calls the first "positive textual features T^P" where x
        is audio-visual and y text, and eq. 34 adds it row by row to x. A video in which all keys are masked gets zeros.
        """
        q_x, k_x, v_x = self._project(x)
        q_y, k_y, v_y = self._project(y)
        return self._attend(q_x, k_y, v_y, y_mask), self._attend(q_y, k_x, v_x, x_mask)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        v, n, _ = x.shape
        return self.projections(x).view(v, n, 2, 3, self.width).permute(3, 0, 2, 1, 4).unbind(0)  # each (v, 2, n, d)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor) -> Tensor:
        scores = (query * self.scale[:, None, None]) @ key.transpose(-1, -2)  # (v, 2, n, m)
        # The lowest finite number rather than -inf: where every key is masked, the softmax is uniform and not NaN, and
        # the product below makes it zero in value and in gradient.
        scores = scores.masked_fill(~key_mask[:, None, None], torch.finfo(scores.dtype).min)
        found = scores.softmax(-1) @ value * key_mask.any(-1)[:, None, None, None]  # (v, 2, n, d)
        signs = [found[:, sign] if used else torch.zeros_like(found[:, sign]) for sign, used in enumerate(self.used)]
        return torch.cat(signs, -1)  # (v, n, 2d)
