"""Bipolar cross-attention: a positive head for agreement between two sequences, a negative one for contradiction."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BipolarAttention(nn.Module):
    """Bipolar attention in both directions between two modalities: M3TR eq. 29-34 up to W_2 (MMRA eq. 2, 3).

    A query sequence X attends to a key sequence Y. Each sign has its projections Q = X W^Q, K = Y W^K, V = Y W^V:

        P = softmax(alpha QK'/sqrt(d)) V        N = softmax(-(1 - alpha) QK'/sqrt(d)) V        ReLU(X + [P, N] W_1)

    The paper's symbols decide which weights are shared. Both directions of a pair share W^Q, W^K and W^V of a sign. Each
    direction has its own W_1. Different pairs share nothing. (The paper prints W_N^C for W_N^V.) There are no biases, as in
    the paper. P and N have the length of the query. Eq. 29 calls them "textual" where X is audio-visual and Y is text;
    eq. 34 adds them to X.

    The products are computed in another order than printed, with the same result. QK' is X (W^Q W^K') Y', and [P, N] W_1
    is A_P Y (W_P^V W_1P) + A_N Y (W_N^V W_1N), where A are the softmax weights. Only the rows of the first sequence are
    multiplied by d x d matrices. So pass the longer sequence second: its length costs little.
    """

    def __init__(self, width: int, *, alpha: float = 0.8, positive: bool = True, negative: bool = True) -> None:
        """Build the layer.

        Args:
            width: d, the width of the rows of both sequences.
            alpha: Balance of positive and negative attention, in [0, 1]; the paper's value is the default.
            positive: Whether to use positive attention; if not, P is zero.
            negative: Whether to use negative attention; if not, N is zero.
        """
        super().__init__()
        factors = [(alpha, positive), (alpha - 1.0, negative)]
        self.signs = [factor / width**0.5 for factor, used in factors if used]
        shape = (len(self.signs), width, width)
        self.query, self.key, self.value = (nn.Parameter(torch.empty(shape)) for _ in range(3))
        self.integrate_x, self.integrate_y = (
            nn.Parameter(torch.empty(shape)) for _ in range(2)
        )  # W_1: one half per sign
        for weight in self.parameters():
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)

    def forward(self, x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Let both sequences of v videos attend to each other.

        Args:
            x: (v, n, d) first sequence.
            y: (v, m, d) second sequence, preferably the longer one.
            x_mask: (v, n) bool, True where x has a row.
            y_mask: (v, m) bool, True where y has a row.

        Returns:
            x enriched from y, (v, n, d), and y enriched from x, (v, m, d). A video whose keys are all masked gets ReLU(X):
            P and N are then zero and pass no gradient.
        """
        if not self.signs:
            return x.relu(), y.relu()
        (v, n, d), m, s = x.shape, y.shape[1], len(self.signs)
        products = (self.query @ self.key.transpose(1, 2)).split(1)
        metric = torch.cat(
            [product * factor for product, factor in zip(products, self.signs, strict=True)]
        )  # (s, d, d)
        # X metric Y' are the scores of x's queries; X metric' Y' are those of y's queries, transposed.
        x_scores = self._scores(x, metric, y)  # (v, n, s, m)
        y_scores = self._scores(x, metric.transpose(1, 2), y)

        x_weights = masked_softmax(x_scores, y_mask[:, None, None, :], dim=3)
        attended = (x_weights.view(v, n * s, m) @ y).view(v, n, s * d)
        x_change = attended @ (self.value @ self.integrate_x).view(s * d, d)  # [P, N] W_1 of eq. 34

        y_weights = masked_softmax(y_scores, x_mask[:, :, None, None], dim=1)
        values = x @ (self.value @ self.integrate_y).transpose(0, 1).reshape(d, s * d)  # (v, n, s d)
        y_change = y_weights.view(v, n * s, m).transpose(1, 2) @ values.view(v, n * s, d)  # [P, N] W_1 of eq. 33
        return (x + x_change).relu(), (y + y_change).relu()

    def _scores(self, x: Tensor, metric: Tensor, y: Tensor) -> Tensor:
        """Return X metric Y' per sign, (v, n, s, m)."""
        (v, n, d), s = x.shape, len(metric)
        projected = x @ metric.transpose(0, 1).reshape(d, s * d)  # (v, n, s d)
        return (projected.view(v, n * s, d) @ y.transpose(1, 2)).view(v, n, s, -1)


def masked_softmax(scores: Tensor, mask: Tensor, *, dim: int) -> Tensor:
    """Return the softmax over the keys that are not masked.

    Args:
        scores: Scores of any shape.
        mask: Bool, broadcastable to the scores; True for the keys.
        dim: Dimension of the keys.

    Returns:
        Weights of the scores' shape; zeros without gradient where every key is masked.
    """
    # The lowest finite number instead of -inf: if every key is masked, the softmax is uniform instead of NaN, and the
    # product sets value and gradient to zero.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim)
    return weights * mask.any(dim, keepdim=True)
