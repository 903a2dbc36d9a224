"""A perceptron over all modalities side by side (Ding et al. 2019, as DSN describes it), without its two aesthetic scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor, nn

from models.predictors.pooled_content import ContentConfig
from models.predictors.pooled_network import PooledNetwork, PooledPredictor
from models.predictors.samples import Minibatch


@dataclass(frozen=True)
class MLPConfig(ContentConfig):
    """Hyper-parameters of the perceptron, beside those of `ContentConfig`.

    Attributes:
        first: Units of the first hidden layer.
        second: Units of the second hidden layer.
        dropout: Dropout rate of the hidden layers.
    """

    first: int = 512
    second: int = 256
    dropout: float = 0.0


class MLP(PooledNetwork):
    """y = MLP([x_1, ..., x_m]), zeros where a modality is missing."""

    config_class = MLPConfig

    def __init__(
        self, config: MLPConfig, widths: Mapping[str, int], columns: Sequence[str] = (), *, targets: int = 1
    ) -> None:
        """Build the network; see `PooledNetwork`."""
        super().__init__(config, widths, columns, targets=targets)
        sizes, layers = (sum(self.content.widths.values()), config.first, config.second), []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(config.dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(config.second, targets))

    def standardised_forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) of the standardised targets."""
        return self.layers(torch.cat([part.vectors for part in self.pool(batch).values()], -1))


class MLPPredictor(PooledPredictor):
    """The perceptron, fitted by the training loop. The paper has no sound."""

    title = "MLP (without aesthetic scores)"
    code = 1
    network_class = MLP
    config_class = MLPConfig
    paper = MappingProxyType({"first": 512, "second": 256, "use_audio": False})
