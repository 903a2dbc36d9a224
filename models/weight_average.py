"""The exponential moving average of a network's weights during training (Polyak and Juditsky 1992)."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(Generic[Network]):
    """A copy of a network that holds the average of its weights over the last steps.

    It removes most of the noise of Adam's last steps. With some hundred training videos, the weights after a step depend much
    on its minibatch; their average forecasts better, and differs less between seeds.

    Attributes:
        source: The network in training.
        network: The network with the averaged weights; without decay, `source`.
        steps: Number of updates so far.
    """

    def __init__(self, network: Network, *, decay: float, exact: Iterable[nn.Parameter] = ()) -> None:
        """Copy the network, if there is a decay.

        Args:
            network: The network in training.
            decay: How much of the average each step keeps. It averages about the last 1 / (1 - decay) steps. With 0 the
                average is the network in training itself, not a copy.
            exact: Parameters of the network that are copied without averaging, because an average would break their
                constraints, such as a penalty's zeros or a bound on the branching ratio.
        """
        self.source, self.steps, self._decay = network, 0, decay
        self.network = copy.deepcopy(network) if decay else network
        wanted = {id(parameter) for parameter in exact}
        parameters = zip(self.network.parameters(), network.parameters(), strict=True)
        self._pairs = [(mine, new, id(new) in wanted) for mine, new in parameters]
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average; call it after every step of the optimiser."""
        self.steps += 1
        if self.network is self.source:
            return
        # The first step is copied, and the first steps are forgotten quickly.
        keep = min(self._decay, self.steps / (9 + self.steps)) if self.steps > 1 else 0.0
        for mine, new, is_exact in self._pairs:
            mine.lerp_(new, 1.0 if is_exact else 1.0 - keep)  # a weight of 1 copies
        for mine, new in self._buffers:
            mine.copy_(new)
