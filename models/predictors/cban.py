"""CBAN: positive and negative attention between frames and words (Cheung and Lam 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from models.predictors.attention import masked_softmax
from models.predictors.content_network import ContentNetwork
from models.predictors.content_sequences import lacking
from models.predictors.features import Widths
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.pooling import AttentivePooling
from models.predictors.ranges import COUNT, RATE, check_ranges
from models.predictors.samples import Bank, Minibatch, Samples


@dataclass(frozen=True)
class CBANConfig:
    """Hyper-parameters of CBAN.

    Attributes:
        width: d, the width of every embedded row.
        dropout: Dropout rate of embedded rows and pooled vectors, in [0, 1).

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, width=COUNT, dropout=RATE)


class CBAN(ContentNetwork):
    """Network that enriches audio-visual rows V by words T and the reverse, and forecasts from both, pooled.

        V = tanh(E^v W_v)    T = tanh(E^t W_t)    A = V T'
        V~ = tanh([V, tanh([softmax(A) T, softmax(-A) T] W_1)] W_2), and T~ alike with A'
        y^ = [v, t] W + b, with v and t the attentively pooled V~ and T~

    The paper classifies; the last layer has one output per target here. Linear layers have biases. Rows without a key get
    zeros from it, and a video without a sequence has a learned vector in place of its pooled one.
    """

    config_class = CBANConfig
    reads_neighbours = False

    def __init__(self, config: CBANConfig, widths: Widths, *, targets: int = 1) -> None:
        """Build the network; see `ContentNetwork`."""
        super().__init__(config, widths, targets=targets)
        d, names = config.width, self.sequences.widths
        self.embedding = nn.ModuleDict({name: nn.Linear(inputs, d) for name, inputs in names.items()})
        self.attended = nn.ModuleDict({name: nn.Linear(2 * d, d) for name in names})  # W_1
        self.enriched = nn.ModuleDict({name: nn.Linear(2 * d, d) for name in names})  # W_2
        self.pool = nn.ModuleDict({name: AttentivePooling(d) for name in names})
        self.absent = nn.Parameter(torch.zeros(len(names), d))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * d, targets)

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch."""
        sequences = self.sequences(batch.target)
        x = {name: self.dropout(self.embedding[name](rows.values).tanh()) for name, rows in sequences.items()}
        vectors = []
        for (name, other), absent in zip((("c", "t"), ("t", "c")), self.absent, strict=True):
            mask, keys = sequences[name].mask, sequences[other].mask
            agreement = x[name] @ x[other].transpose(1, 2)  # (b, n, m)
            found = [masked_softmax(sign * agreement, keys.unsqueeze(1), dim=2) @ x[other] for sign in (1.0, -1.0)]
            attended = self.attended[name](torch.cat(found, -1)).tanh()
            enriched = self.enriched[name](torch.cat([x[name], attended], -1)).tanh()
            vectors.append(torch.where(mask.any(1, keepdim=True), self.pool[name](enriched, mask), absent))
        return self.standardise_target.inverse(self.head(self.dropout(torch.cat(vectors, -1))))


class CBANPredictor(NeuralPredictor):
    """CBAN as a predictor. It reads frames, sound and words, and neither feedback nor neighbours."""

    title = "CBAN"
    code = 1
    network_class = CBAN
    config_class = CBANConfig
    paper = MappingProxyType(
        {
            "width": 768,
            "dropout": 0.1,
            "learning_rate": 5e-5,
            "weight_decay": 1e-3,
            "batch_size": 32,
            "epochs": 20,
            "averaging": 0.0,
        }
    )
    sees_feedback = False

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return which sequence is missing that the network's attention needs; None if none is."""
        missing = lacking(train.features)
        return missing and f"its network needs frames and words, but no training video has {missing}"

    def build(self, samples: Samples) -> CBAN:
        """Return a network with initial weights."""
        return CBAN(self.config, samples.features.widths, targets=samples.target.shape[1])
