"""An exponential moving average of the weights during training (Polyak and Juditsky 1992).

It removes most of the noise of Adam's last steps.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from models.hawkes.mamba import MambaHawkesProcess


class AveragedProcess:
    """A copy of a process that holds the exponential moving average of its weights.

    The branching matrix is copied without averaging, which would lose a penalty's zeros and the bound on the branching ratio.
    """

    def __init__(self, process: MambaHawkesProcess, *, decay: float) -> None:
        """Copy the process.

        Args:
            process: The process in training.
            decay: How much of the average each step keeps. It averages about the last 1 / (1 - decay) steps; 0 copies the
                weights.
        """

        def average(averaged: list[Tensor], current: list[Tensor], steps: Tensor | int) -> None:
            keep = min(decay, (1 + int(steps)) / (10 + int(steps)))  # forget the first steps quickly
            for mine, new in zip(averaged, current):
                mine.lerp_(new, 1 - keep)

        self._source = process
        self._model = AveragedModel(process, multi_avg_fn=average)

    @property
    def process(self) -> MambaHawkesProcess:
        """The process with the averaged weights."""
        return self._model.module

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average; call it after every optimiser step."""
        self._model.update_parameters(self._source)
        if self._source.excitation is not None:
            self.process.excitation.branching.copy_(self._source.excitation.branching)
