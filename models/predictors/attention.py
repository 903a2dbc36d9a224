"""Bipolar cross-attention: what two sequences agree on, and what they contradict each other in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BipolarAttention(nn.Module):
    """One pair of modalities, each enriched with what it finds in the other: M3TR eq. 29-34 up to W_2 (MMRA eq. 2, 3).

    Of a query sequence X and a key sequence Y, with projections Q = X W^Q, K = Y W^K, V = Y W^V for each sign:

        P = softmax(alpha QK'/sqrt(d)) V        N = softmax(-(1 - alpha) QK'/sqrt(d)) V        ReLU(X + [P, N] W_1)

    As the equations' symbols have it, W^Q, W^K and W^V of a sign are the same for both directions of a pair (another
    pair has others), while each direction has its W_1. (W_N^V is printed W_N^C.) No biases, as printed. P and N have
    the length of the query: eq. 29 calls them "textual" where X is audio-visual and Y text; eq. 34 adds them to X.

    The products are taken in another order than printed, with the same result: QK' is X (W^Q W^K') Y', and [P, N] W_1
    is A_P Y (W_P^V W_1P) + A_N Y (W_N^V W_1N), A the softmaxed weights. So only the rows of the first sequence are
    ever multiplied by d x d matrices; the second may be long at little cost, and should be the longer one.
    """

    def __init__(self, width: int, *, alpha: float = 0.8, positive: bool = True, negative: bool = True) -> None:
        """width: d; alpha: in [0, 1]; positive, negative: whether that sign is there (zeros stand for it if not)."""
        super().__init__()
        factors = [(alpha, positive), (alpha - 1.0, negative)]
        self.signs = [factor / width**0.5 for factor, used in factors if used]
        shape = (len(self.signs), width, width)
        self.query, self.key, self.value = (nn.Parameter(torch.empty(shape)) for _ in range(3))
        self.integrate_x, self.integrate_y = (nn.Parameter(torch.empty(shape)) for _ in range(2))  # W_1, a half a sign
        for weight in self.parameters():
            nn.init.uniform_(weight, -(width**-0.5), width**-0.5)

    def forward(self, x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor) -> tuple[Tensor, Tensor]:
        """x: (v, n, d), y: (v, m, d), masks (v, n), (v, m), True where there is a row; of v videos.

        Returns x with what it found in y, (v, n, d), and y with what it found in x, (v, m, d). A video in which all
        keys are masked gets ReLU(X): P and N are zero then, and no gradient passes.
        """
        if not self.signs:
            return x.relu(), y.relu()
        (v, n, d), m, s = x.shape, y.shape[1], len(self.signs)
        scale = x.new_tensor(self.signs)[:, None, None]
        metric = self.query @ self.key.transpose(1, 2) * scale  # (s, d, d): X metric Y' are the scores of x's queries,
        x_scores = self._scores(x, metric, y)  # (v, n, s, m)   X metric' Y' those of y's queries, transposed
        y_scores = self._scores(x, metric.transpose(1, 2), y)

        x_weights = _masked_softmax(x_scores, y_mask[:, None, None, :], dim=3)
        found = (x_weights.view(v, n * s, m) @ y).view(v, n, s * d)
        x_found = found @ (self.value @ self.integrate_x).view(s * d, d)  # [P, N] W_1 of eq. 34

        y_weights = _masked_softmax(y_scores, x_mask[:, :, None, None], dim=1)
        values = x @ (self.value @ self.integrate_y).transpose(0, 1).reshape(d, s * d)  # (v, n, s d)
        y_found = y_weights.view(v, n * s, m).transpose(1, 2) @ values.view(v, n * s, d)  # [P, N] W_1 of eq. 33
        return (x + x_found).relu(), (y + y_found).relu()

    def _scores(self, x: Tensor, metric: Tensor, y: Tensor) -> Tensor:
        """X metric Y' for each sign: (v, n, s, m)."""
        (v, n, d), s = x.shape, len(metric)
        projected = x @ metric.transpose(0, 1).reshape(d, s * d)  # (v, n, s d)
        return (projected.view(v, n * s, d) @ y.transpose(1, 2)).view(v, n, s, -1)


def _masked_softmax(scores: Tensor, mask: Tensor, *, dim: int) -> Tensor:
    """Softmax over the keys that `mask` (broadcastable) has True; zeros, and no gradient, where it has none."""
    # The lowest finite number rather than -inf: where every key is masked the softmax is uniform and not NaN, and the
    # product makes it zero in value and in gradient.
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim)
    return weights * mask.any(dim, keepdim=True)
