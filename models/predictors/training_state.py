"""Everything that changes while a network is trained, so that a checkpoint can hold it."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.predictors.network import PredictorNetwork
from models.predictors.samples import Samples
from models.predictors.training_options import TrainingOptions
from models.predictors.training_report import Epoch, TrainingReport
from models.weight_average import WeightAverage

LARGE = 1_000_000  # weights of a network


class TrainingState:
    """State of one training between two steps.

    Attributes:
        network: The network in training.
        optimiser: Its optimiser.
        average: The moving average of its weights.
        order: Source of the order of the videos and of the choice of their windows.
        report: Record of the epochs that have ended.
        best: Averaged weights of the best epoch; None before the first validation.
        rows: Windows of the epoch that is running, in their order; None between two epochs.
        later: Windows of the running pass over the videos that later epochs show, in their order.
        losses: (3,) tensor per step of the running epoch: L, L_pred and L_further.
        begun: Time at which the running epoch began, on the training's clock.
    """

    def __init__(self, network: PredictorNetwork, options: TrainingOptions, seed: int) -> None:
        """Start a training.

        Args:
            network: The network with its initial weights, on the device to train on.
            options: Options of the training.
            seed: Seed of the order of the videos.
        """
        self.network = network
        size = sum(parameter.numel() for parameter in network.parameters())
        # The fused step reads each weight once instead of a dozen times, which is what large networks wait for.
        self.optimiser = torch.optim.AdamW(
            network.parameter_groups(options), weight_decay=options.weight_decay, fused=size > LARGE
        )
        self.average = WeightAverage(network, decay=options.averaging, exact=network.constrained_parameters())
        self.order = np.random.default_rng(seed)
        self.report = TrainingReport(seed)
        self.best: dict[str, Tensor] | None = None
        self.rows: np.ndarray | None = None
        self.later = np.empty(0, np.int64)
        self.losses: list[Tensor] = []
        self.begun = 0.0
        self._started = time.perf_counter()

    @property
    def clock(self) -> float:
        """Seconds of training so far, without the time between a kill and the restart."""
        return time.perf_counter() - self._started

    def begin_epoch(self, samples: Samples, videos: int) -> None:
        """Choose the windows of the next epoch.

        Args:
            samples: Windows of the training videos.
            videos: Most videos per epoch; see `TrainingOptions.epoch_videos`.
        """
        self.begun = self.clock
        if not len(self.later):
            self.later = samples.one_window_each(self.order)
        epochs = math.ceil(len(self.later) / videos)  # of this pass that are left
        count = math.ceil(len(self.later) / epochs)
        self.rows, self.later = self.later[:count], self.later[count:]

    def held(self) -> dict[str, Any]:
        """Return the state as tensors, numbers and strings, and lists and dicts of these."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "average_steps": self.average.steps,
            "optimiser": self.optimiser.state_dict(),
            "order": self.order.bit_generator.state,
            "report": asdict(self.report),
            "best": self.best,
            "rows": None if self.rows is None else self.rows.tolist(),
            "later": self.later.tolist(),
            "losses": self.losses,
            "begun": self.begun,
            "clock": self.clock,
            "random": [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in self._gpus())],
        }

    def restore(self, held: dict[str, Any]) -> None:
        """Continue from a state that `held` returned, for a network and options that are the same."""
        self.network.load_state_dict(held["network"])
        self.average.network.load_state_dict(held["average"])
        self.average.steps = held["average_steps"]
        self.optimiser.load_state_dict(held["optimiser"])
        self.order.bit_generator.state = held["order"]
        self.report = TrainingReport(
            **held["report"] | {"epochs": [Epoch(**epoch) for epoch in held["report"]["epochs"]]}
        )
        self.best, self.begun = held["best"], held["begun"]
        self.losses = [loss.to(next(self.network.parameters()).device) for loss in held["losses"]]
        self.rows = None if held["rows"] is None else np.array(held["rows"])
        self.later = np.array(held["later"], np.int64)
        self._started = time.perf_counter() - held["clock"]
        torch.set_rng_state(held["random"][0])
        for gpu, state in zip(self._gpus(), held["random"][1:], strict=True):
            torch.cuda.set_rng_state(state, gpu)

    def _gpus(self) -> list[torch.device]:
        """Return the GPU that the network is on, if it is on one."""
        device = next(self.network.parameters()).device
        return [device] if device.type == "cuda" else []
