"""The exponential moving average of a network's weights during training (Polyak and Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(Generic[Network]):
    """A copy of a network that holds the average of its weights over the last steps.

    It removes most of the noise of Adam's last steps. With some hundred training videos, the weights after a step depend much
    on its minibatch; their average forecasts better, and differs less between seeds.

    Attributes:
        source: The network in training.
    """

    def __init__(self, network: Network, *, decay: float, exact: Iterable[nn.Parameter] = ()) -> None:
        """Copy the network.

        Args:
            network: The network in training.
            decay: How much of the average each step keeps. It averages about the last 1 / (1 - decay) steps; 0 copies the
                weights.
            exact: Parameters of the network that are copied without averaging, because an average would break their
                constraints, such as a penalty's zeros or a bound on the branching ratio.
        """

        def average(averaged: list[Tensor], current: list[Tensor], steps: Tensor | int) -> None:
            keep = min(decay, (1 + int(steps)) / (10 + int(steps)))  # forget the first steps quickly
            for mine, new in zip(averaged, current):
                mine.lerp_(new, 1 - keep)

        self.source = network
        self._model = AveragedModel(network, multi_avg_fn=average)
        wanted = {id(parameter) for parameter in exact}
        pairs = zip(self.network.parameters(), network.parameters(), strict=True)
        self._exact = [(mine, new) for mine, new in pairs if id(new) in wanted]

    @property
    def network(self) -> Network:
        """The network with the averaged weights."""
        return self._model.module

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average; call it after every step of the optimiser."""
        self._model.update_parameters(self.source)
        for mine, new in self._exact:
            mine.copy_(new)
