"""A video's content beside that of its retrieved videos, as one vector H: MMRA's network up to its output perceptron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.predictors.content_sequences import MaskedRows
from models.predictors.cross_modal_encoder import CrossModalEncoder
from models.predictors.features import NeighbourBatch
from models.predictors.neighbour_mean import mean_rows, neighbour_weights, weight_matrix
from models.predictors.ranges import COUNT, POSITIVE, RATE, SHARE, check_ranges
from models.predictors.samples import Samples


@dataclass(frozen=True)
class RetrievedContentConfig:
    """Hyper-parameters that MMRA and MUFM share. The `use_` switches are those of MMRA's ablations (table 3), and `use_audio`.

    Attributes:
        width: d, the width of every embedded row.
        hidden: Units of the first layer behind H.
        alpha: Balance of positive and negative attention, in [0, 1].
        dropout: Dropout rate, in [0, 1).
        neighbours: k, the number of retrieved videos per video; at most as many as were retrieved.
        temperature: What similarities are divided by before their softmax; 1 is the papers' form. See `neighbour_weights`.
        interaction: "inner" products of the vectors of video and retrieved videos, or element-wise "product".
        share: Whether video and retrieved videos go through the same weights.
        use_visual: Whether to read frames.
        use_audio: Whether to read sound.
        use_text: Whether to read text.
        use_retrieval: Whether to read retrieved videos.
        use_positive: Whether to use positive attention.
        use_negative: Whether to use negative attention.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    hidden: int = 64
    alpha: float = 0.6
    dropout: float = 0.0
    neighbours: int = 10
    temperature: float = 1.0
    interaction: Literal["inner", "product"] = "inner"
    share: bool = True
    use_visual: bool = True
    use_audio: bool = True
    use_text: bool = True
    use_retrieval: bool = True
    use_positive: bool = True
    use_negative: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, width=COUNT, hidden=COUNT, neighbours=COUNT, temperature=POSITIVE, alpha=SHARE, dropout=RATE)
        if self.interaction not in ("inner", "product"):
            raise ValueError(f"unknown interaction {self.interaction!r}; allowed: inner, product")
        if not (self.use_visual or self.use_audio or self.use_text):
            raise ValueError("at least one of use_visual, use_audio, use_text must be true, given all false")

    @property
    def modalities(self) -> list[str]:
        """The modalities that are read."""
        used = {"visual": self.use_visual, "acoustic": self.use_audio, "text": self.use_text}
        return [name for name, is_used in used.items() if is_used]

    def check_neighbours(self, samples: Samples) -> None:
        """Check that enough neighbours were retrieved.

        Raises:
            ValueError: `neighbours` is larger than their number.
        """
        retrieved = samples.neighbourhood.index.shape[1]
        if self.use_retrieval and self.neighbours > retrieved:
            raise ValueError(
                f"neighbours must be at most retrieval.neighbours, the {retrieved} videos that were retrieved per video, "
                f"given {self.neighbours}"
            )


class RetrievedContent(nn.Module):
    """Layer that encodes a video and the mean of its retrieved videos, and lets the two interact.

    The retrieved videos are averaged row by row before they go through the interaction network (MMRA eq. 4); M3TR averages
    them afterwards. H holds, in this order, the video's vectors (V, T), those of the retrieved videos (V^r, T^r), their
    labels L^r, and the interactions of each of the first with each of the others. Inner products are divided by sqrt(d),
    which keeps them on the scale of the other coordinates. With element-wise products, H has no L^r of its own, as in MMRA's
    code and in MUFM eq. 17.

    Attributes:
        width: Width of H.
    """

    def __init__(
        self,
        config: RetrievedContentConfig,
        widths: Mapping[str, int],
        *,
        targets: int,
        separate_values: bool = False,
        normalise_similarities: bool = False,
        rectify_labels: bool = True,
    ) -> None:
        """Build the layer.

        Args:
            config: Hyper-parameters.
            widths: Width of a row per sequence; see `ContentSequences.widths`.
            targets: T, the number of labels per retrieved video.
            separate_values: Whether each direction of attention has its own value projection (MUFM eq. 28, 29).
            normalise_similarities: Whether similarities are mapped to [0, 1] per video (MUFM appendix 4).
            rectify_labels: Whether embedded labels go through ReLU (MMRA).
        """
        super().__init__()
        self.config, self._normalise, self._rectify_labels = config, normalise_similarities, rectify_labels
        d, sequences = config.width, len(widths)

        def encoder() -> CrossModalEncoder:
            return CrossModalEncoder(
                widths,
                d,
                alpha=config.alpha,
                positive=config.use_positive,
                negative=config.use_negative,
                separate_values=separate_values,
                dropout=config.dropout,
            )

        self.encoder = encoder()
        self.width = sequences * d
        if config.use_retrieval:
            self.retrieved_encoder = None if config.share else encoder()
            self.embed_label = nn.Linear(targets, d)
            self.unknown_label = nn.Parameter(torch.zeros(targets, d)) if targets > 1 else None
            pairs = sequences * (sequences + 1)
            self.width += (sequences + 1) * d + pairs if config.interaction == "inner" else (sequences + pairs) * d

    def forward(
        self,
        video: Mapping[str, MaskedRows],
        retrieved: Mapping[str, MaskedRows],
        neighbourhood: NeighbourBatch,
    ) -> Tensor:
        """Return H of b videos, (b, width).

        Args:
            video: Content sequences of the b videos.
            retrieved: Content sequences of the u distinct videos retrieved for them.
            neighbourhood: (b, S), which of the u videos each video has, most similar first. Labels are standardised.
        """
        own = self.encoder(self.encoder.embed(video))  # (b, m, d)
        if not self.config.use_retrieval:
            return own.flatten(1)
        weights = neighbour_weights(neighbourhood, temperature=self.config.temperature, normalise=self._normalise)
        encoder = self.encoder if self.retrieved_encoder is None else self.retrieved_encoder
        # Each distinct video goes through the embedding once, and the means are taken of embedded rows.
        matrix = weight_matrix(weights, neighbourhood.index, len(next(iter(retrieved.values())).mask))
        others = encoder(
            {name: mean_rows(rows, matrix) for name, rows in encoder.embed(retrieved).items()}
        )  # (b, m, d)
        labels = torch.einsum("bs,bsd->bd", weights, self._labels(neighbourhood.label)).unsqueeze(1)
        kinds = torch.cat([others, labels], 1)  # V^r, T^r, L^r
        if self.config.interaction == "inner":
            inner = own @ kinds.transpose(1, 2) / self.config.width**0.5  # (b, m, m + 1)
            return torch.cat([part.flatten(1) for part in (own, kinds, inner)], -1)
        products = own.unsqueeze(2) * kinds.unsqueeze(1)  # (b, m, m + 1, d)
        return torch.cat([part.flatten(1) for part in (own, others, products)], -1)

    def _labels(self, label: Tensor) -> Tensor:
        """Return labels (b, S, T) embedded, (b, S, d). An unknown label is the mean, and a learned vector marks it."""
        embedded = self.embed_label(label.nan_to_num(0.0))
        if self.unknown_label is not None:
            embedded = embedded + label.isnan().to(label.dtype) @ self.unknown_label
        return embedded.relu() if self._rectify_labels else embedded
