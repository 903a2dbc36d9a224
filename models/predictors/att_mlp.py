"""Att-MLP: a perceptron over modalities that attention weighs (Xu et al. 2020, as DSN describes it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from models.predictors.attention import masked_softmax
from models.predictors.pooled_content import ContentConfig
from models.predictors.pooled_network import PooledNetwork, PooledPredictor
from models.predictors.samples import Minibatch


@dataclass(frozen=True)
class AttMLPConfig(ContentConfig):
    """Hyper-parameters of Att-MLP, beside those of `ContentConfig`.

    Attributes:
        stream: Width of a modality's stream.
        hidden: Units of the output perceptron's hidden layer.
        dropout: Dropout rate of the streams and of the hidden layer.
    """

    stream: int = 128
    hidden: int = 64
    dropout: float = 0.0


class AttMLP(PooledNetwork):
    """Streams h_m = ReLU(W_m x_m + b_m), weights a_m, and a perceptron of their sum.

        s_m = v . tanh(W h_m)      a = softmax of s over the modalities that the video has      y = MLP(sum_m a_m h_m)

    A video without any modality has the sum 0.
    """

    config_class = AttMLPConfig

    def __init__(
        self, config: AttMLPConfig, widths: Mapping[str, int], columns: Sequence[str] = (), *, targets: int = 1
    ) -> None:
        """Build the network; see `PooledNetwork`."""
        super().__init__(config, widths, columns, targets=targets)
        d = config.stream
        self.streams = nn.ModuleDict({name: nn.Linear(width, d) for name, width in self.content.widths.items()})
        self.key = nn.Linear(d, d, bias=False)  # W
        self.context = nn.Linear(d, 1, bias=False)  # v
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Sequential(
            nn.Linear(d, config.hidden), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.hidden, targets)
        )

    def standardised_forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) of the standardised targets."""
        pooled = self.pool(batch)
        streams = torch.stack(
            [self.dropout(layer(pooled[name].vectors).relu()) for name, layer in self.streams.items()], 1
        )  # (b, modalities, d)
        present = torch.stack([pooled[name].present for name in self.streams], 1)
        scores = self.context(self.key(streams).tanh()).squeeze(-1)
        weights = masked_softmax(scores, present, dim=-1)
        return self.head((weights.unsqueeze(-1) * streams).sum(1))


class AttMLPPredictor(PooledPredictor):
    """Att-MLP, fitted by the training loop. The paper has no sound."""

    title = "Att-MLP"
    code = 1
    network_class = AttMLP
    config_class = AttMLPConfig
    paper = MappingProxyType({"stream": 128, "use_audio": False})
