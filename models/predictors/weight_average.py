"""The exponential moving average of a network's weights during training."""

from __future__ import annotations

import copy

import torch

from models.predictors.network import PredictorNetwork


class WeightAverage:
    """A copy of a network that holds the average of its weights over the last steps (Polyak and Juditsky 1992).

    With some hundred training videos, the weights after a step depend much on its minibatch; their average forecasts better,
    and differs less between seeds. A process inside is copied as it is, because an average would lose its exact zeros and its
    bound on the branching ratio.

    Attributes:
        network: The copy.
        source: The network in training.
    """

    def __init__(self, network: PredictorNetwork, *, decay: float) -> None:
        """Copy the network.

        Args:
            network: The network in training, with fitted standardisers.
            decay: How much of the average each step keeps. It averages about the last 1 / (1 - decay) steps; 0 copies the
                weights.
        """
        self.source, self._decay, self._steps = network, decay, 0
        self.network = copy.deepcopy(network)

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average; call it after every step of the optimiser."""
        keep = min(self._decay, (1 + self._steps) / (10 + self._steps))  # forget the first steps quickly
        self._steps += 1
        exact = {id(parameter) for parameter in self.source.constrained_parameters()}
        for mine, new in zip(self.network.parameters(), self.source.parameters(), strict=True):
            mine.lerp_(new, 1.0 if id(new) in exact else 1 - keep)
