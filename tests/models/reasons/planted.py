"""A network whose forecast is a known sum, so that it is known what each part contributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from models.predictors.network import PredictorNetwork
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.samples import Minibatch, Samples
from models.predictors.standardise import Standardiser


@dataclass(frozen=True)
class NoOptions:
    """The planted network has no hyper-parameters."""


class Planted(PredictorNetwork):
    """3 x the first frame's first value + half of the label of the nearest neighbour + sound x words.

    A part that is missing counts as 0. The product is there only if both of its factors are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.standardise_target = Standardiser(1)
        self.standardise = nn.ModuleDict()

    def forecast(self, batch: Minibatch) -> Tensor:
        def first(name: str) -> Tensor:
            rows, mask = getattr(batch.target, name), getattr(batch.target, f"{name}_mask")
            return torch.where(mask[:, 0], rows[:, 0, 0], 0.0)

        near = batch.neighbourhood
        label = torch.where(near.mask[:, 0], near.label[:, 0, 0], 0.0)
        return (3 * first("visual") + label / 2 + first("acoustic") * first("text"))[:, None]

    def description(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        return cls()


class PlantedPredictor(NeuralPredictor):
    title = "planted"
    code = 1
    sees_feedback = True
    network_class = Planted
    config_class = NoOptions

    def build(self, samples: Samples) -> Planted:
        return Planted()

    @property
    def network(self) -> Planted:
        return Planted()
