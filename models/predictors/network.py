"""Base class of the networks that the training loop fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import MODALITIES
from models.predictors.samples import Bank, Minibatch, Samples, minibatch
from models.predictors.standardise import Standardiser
from models.predictors.training_options import TrainingOptions


class PredictorNetwork(nn.Module, ABC):
    """Network that forecasts T targets of a video.

    A subclass says how a minibatch becomes a forecast. It overrides the other methods only if its loss or its optimiser
    differs from the usual ones.

    Attributes:
        standardise: A `Standardiser` per modality.
        standardise_target: A `Standardiser` of width T.
        reads_feedback: Whether minibatches need feedback.
        reads_tables: Whether minibatches need tables.
        reads_rows: Whether minibatches need the feature rows of the windows.
        reads_neighbours: Whether minibatches need the feature rows and tables of their neighbours.
        reads_posts: Whether minibatches need earlier posts.
    """

    standardise: nn.ModuleDict
    standardise_target: Standardiser
    reads_feedback: bool = False
    reads_tables: bool = False
    reads_rows: bool = True
    reads_neighbours: bool = True
    reads_posts: bool = False

    @abstractmethod
    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch, on the scale of the targets."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network, as JSON."""

    @classmethod
    @abstractmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build the network that `description` returned, with initial weights."""

    def minibatch(
        self, samples: Samples, bank: Bank, rows: np.ndarray, *, device: torch.device | str = "cpu"
    ) -> Minibatch:
        """Return what the network reads of some windows; see `models.predictors.samples.minibatch`."""
        return minibatch(
            samples,
            bank,
            rows,
            with_feedback=self.reads_feedback,
            with_tables=self.reads_tables,
            with_rows=self.reads_rows,
            with_neighbours=self.reads_neighbours,
            with_posts=self.reads_posts,
            device=device,
        )

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the standardisers.

        Args:
            samples: Windows of the training videos.
            videos: (v,) numbers of windows, one per distinct video.
        """
        for name in MODALITIES:
            self.standardise[name].fit_rows(getattr(samples.features, name).take(videos), name=name)
        self.standardise_target.fit(samples.target[videos])

    def further_weight(self, options: TrainingOptions) -> float:
        """Return the weight of `further_loss` in the training loss; 0, the default, if there is none."""
        return 0.0

    def further_loss(self, batch: Minibatch) -> Tensor:
        """Return a loss besides that of the forecasts, a scalar; called only if `further_weight` is above 0."""
        raise NotImplementedError

    def parameter_groups(self, options: TrainingOptions) -> list[dict[str, Any]]:
        """Return the optimiser's groups of parameters; by default one, with the learning rate of the options."""
        return [{"params": list(self.parameters()), "lr": options.learning_rate}]

    def constrained_parameters(self) -> Iterable[nn.Parameter]:
        """Return the parameters whose constraints an average of the weights would break; by default there are none."""
        return ()

    def after_step(self, optimiser: torch.optim.Optimizer, batch: Minibatch, options: TrainingOptions) -> None:
        """Restore constraints after a step of the optimiser; by default there are none."""
