"""The average of the last steps' weights: what Adam's noise hides (Polyak and Juditsky 1992), at no cost a step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from models.hawkes.mamba import MambaHawkesProcess


class AveragedProcess:
    """`process` with the exponential moving average of its weights, the last 1 / (1 - decay) steps or so.

    The branching matrix is taken as it is: averaging would lose the zeros of a penalty and the bound on its radius.
    """

    def __init__(self, process: MambaHawkesProcess, *, decay: float) -> None:
        def average(averaged: list[Tensor], current: list[Tensor], steps: Tensor | int) -> None:
            keep = min(decay, (1 + int(steps)) / (10 + int(steps)))  # the first steps count for little, soon
            for mine, new in zip(averaged, current):
                mine.lerp_(new, 1 - keep)

        self._source = process
        self._model = AveragedModel(process, multi_avg_fn=average)

    @property
    def process(self) -> MambaHawkesProcess:
        return self._model.module

    @torch.no_grad()
    def update(self) -> None:
        """After a step of the process."""
        self._model.update_parameters(self._source)
        if self._source.excitation is not None:
            self.process.excitation.branching.copy_(self._source.excitation.branching)
