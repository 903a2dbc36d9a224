"""The cross-modal bipolar interaction network of MMRA and MUFM: two sequences of a video become two vectors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.predictors.attention import BipolarAttention, masked_softmax
from models.predictors.content_sequences import AUDIO_VISUAL, TEXT, MaskedRows
from models.predictors.pooling import AttentivePooling


class StepwiseBipolarAttention(BipolarAttention):
    """Bipolar attention that multiplies rows by one matrix after the other.

    It computes the same function as its base class, which multiplies the d x d matrices with each other first. That costs d^3
    however few rows there are, so this order is faster for few rows of a large width, as MMRA's (text has one row, d is
    768). Only the first sequence's rows are multiplied by d x d matrices here too.

    MUFM has a value projection per direction (eq. 28, 29); `separate_values` gives each direction its own.
    """

    def __init__(
        self,
        width: int,
        *,
        alpha: float,
        positive: bool = True,
        negative: bool = True,
        separate_values: bool = False,
    ) -> None:
        """Build the layer; see `BipolarAttention`.

        Args:
            width: d, the width of the rows of both sequences.
            alpha: Balance of positive and negative attention, in [0, 1].
            positive: Whether to use positive attention.
            negative: Whether to use negative attention.
            separate_values: Whether the values of the first sequence have a projection of their own.
        """
        super().__init__(width, alpha=alpha, positive=positive, negative=negative)
        bound = width**-0.5
        self.value_x = nn.Parameter(torch.empty_like(self.value).uniform_(-bound, bound)) if separate_values else None

    def forward(self, x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Let both sequences attend to each other; see `BipolarAttention.forward`. The first should be the shorter one."""
        if not self.signs:
            return x.relu(), y.relu()
        (v, n, d), s = x.shape, len(self.signs)
        rows = x.reshape(1, v * n, d).expand(s, -1, -1)
        scale = x.new_tensor(self.signs)[:, None, None]

        def scores(query: Tensor, key: Tensor) -> Tensor:
            """Return (v, s, n, m) products of x's rows, through two matrices, with y's rows."""
            projected = rows.bmm(query).bmm(key.transpose(1, 2)) * scale
            return (_by_video(projected, v, n).flatten(1, 2) @ y.transpose(1, 2)).view(v, s, n, -1)

        x_weights = masked_softmax(scores(self.query, self.key), y_mask[:, None, None], dim=3)
        attended = (x_weights.flatten(1, 2) @ y).view(v, s, n, d).transpose(0, 1).reshape(s, v * n, d)
        x_change = attended.bmm(self.value).bmm(self.integrate_x).sum(0).view(v, n, d)  # [P, N] W_1, x enriched from y

        if n == 1:  # the softmax over one key is 1, whatever its score
            y_weights = x_mask[:, None, :, None].to(x.dtype).expand(v, s, n, y.shape[1])
        else:
            y_weights = masked_softmax(scores(self.key, self.query), x_mask[:, None, :, None], dim=2)
        value_x = self.value if self.value_x is None else self.value_x
        values = _by_video(rows.bmm(value_x).bmm(self.integrate_y), v, n)
        y_change = y_weights.flatten(1, 2).transpose(1, 2) @ values.flatten(1, 2)
        return (x + x_change).relu(), (y + y_change).relu()


def _by_video(rows: Tensor, videos: int, length: int) -> Tensor:
    """Return rows (s, v n, d) as (v, s, n, d)."""
    return rows.view(len(rows), videos, length, -1).transpose(0, 1)


class CrossModalEncoder(nn.Module):
    """MMRA's embedding, eq. 2 and 3, and attentive pooling: the sequences of v videos become one vector each.

        X^v = ReLU(E^v W_v)        T~ = ReLU(X^t + [V^p, V^N] W_1) W_2        V~ = ReLU(X^v + [T^p, T^N] W_1') W_2'

    With one sequence alone, its rows become ReLU(X) W_2 (the ablations of table 3). A video without a sequence has a learned
    vector in its place. The embedding is a linear layer with a bias.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        width: int,
        *,
        alpha: float,
        positive: bool,
        negative: bool,
        separate_values: bool,
        dropout: float,
    ) -> None:
        """Build the layer.

        Args:
            widths: Width of a row per sequence; see `ContentSequences.widths`.
            width: d.
            alpha: Balance of positive and negative attention.
            positive: Whether to use positive attention.
            negative: Whether to use negative attention.
            separate_values: Whether each direction of attention has its own value projection (MUFM).
            dropout: Dropout rate of embedded rows.
        """
        super().__init__()
        self.embedding = nn.ModuleDict({name: nn.Linear(inputs, width) for name, inputs in widths.items()})
        if len(widths) == 2:
            self.attention = StepwiseBipolarAttention(
                width, alpha=alpha, positive=positive, negative=negative, separate_values=separate_values
            )
        bound = width**-0.5
        self.transform = nn.ParameterDict(
            {name: nn.Parameter(torch.empty(width, width).uniform_(-bound, bound)) for name in widths}
        )
        self.pool = nn.ModuleDict({name: AttentivePooling(width) for name in widths})
        self.absent = nn.Parameter(torch.zeros(len(widths), width))
        self.dropout = nn.Dropout(dropout)

    def embed(self, sequences: Mapping[str, MaskedRows]) -> dict[str, MaskedRows]:
        """Return embedded rows X of width d."""
        return {
            name: MaskedRows(self.dropout(self.embedding[name](values).relu()), mask)
            for name, (values, mask) in sequences.items()
        }

    def forward(self, embedded: Mapping[str, MaskedRows]) -> Tensor:
        """Return one vector per sequence, (v, 1 or 2, d), audio-visual before textual."""
        if len(embedded) == 2:
            text, audio_visual = embedded[TEXT], embedded[AUDIO_VISUAL]
            enriched_text, enriched_audio_visual = self.attention(
                text.values, audio_visual.values, text.mask, audio_visual.mask
            )
            enriched = {AUDIO_VISUAL: enriched_audio_visual, TEXT: enriched_text}
        else:
            enriched = {name: rows.values for name, rows in embedded.items()}  # they are ReLU(X) already
        vectors = []
        for (name, rows), absent in zip(enriched.items(), self.absent, strict=True):
            mask = embedded[name].mask
            pooled = self.pool[name](rows, mask, self.transform[name])
            vectors.append(torch.where(mask.any(1, keepdim=True), pooled, absent))
        return torch.stack(vectors, 1)
