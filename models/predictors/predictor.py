"""The interface of every popularity predictor, neural or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch
from torch import nn

from models.predictors.samples import Bank, Samples
from models.predictors.search_space import SearchSpace
from models.predictors.training_report import Epoch, TrainingReport


class Predictor(Protocol):
    """A model that is fitted to windows of training videos and forecasts T targets of any window.

    Attributes:
        title: Name of its row in tables of results.
        reads: Names of the settings that change its fit; see `from_settings`. "options" are those of `model.options` that
            bear the predictor's name.
        code: Version of its code; raise it when the same inputs give another result.
        seeded: Whether the fit depends on the seed. Without, one model is fitted instead of one per seed.
        reads_posts: Whether it reads `Samples.posts`.
        forecasts_alone: Whether the forecast of a window depends on no other window or post, only on the window and its
            neighbours.
    """

    title: ClassVar[str]
    reads: ClassVar[tuple[str, ...]]
    code: ClassVar[int]
    seeded: ClassVar[bool]
    reads_posts: ClassVar[bool]
    forecasts_alone: ClassVar[bool]

    @property
    def sees_feedback(self) -> bool:
        """Whether forecasts depend on feedback; they are then raised to what has already been counted."""
        ...

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return whether a fit reads `Samples.table`, so that other columns of the table need another fit.

        Args:
            settings: Value of each setting in `reads`.
        """
        ...

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check `model.options` of this predictor.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        ...

    @classmethod
    def search_space(cls) -> SearchSpace:
        """Return the options that a search for hyper-parameters varies, with their ranges."""
        ...

    def hyperparameters(self) -> dict[str, Any]:
        """Return the value of every option."""
        ...

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build an unfitted predictor.

        Args:
            settings: Value of each setting in `reads`.
            temporal_encoder: The fitted process, for predictors that train it further or make temporal rows with it.
                Others ignore it.
        """
        ...

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return why the predictor cannot be fitted to these data, in words that follow "NAME: "; None if it can.

        Args:
            train: Windows of the training videos.
            bank: The videos that neighbours are taken from.
        """
        ...

    def fit(
        self,
        train: Samples,
        dev: Samples | None,
        bank: Bank,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Callable[[Epoch], None] | None = None,
    ) -> TrainingReport:
        """Fit to the training windows; `dev` decides when to stop.

        Args:
            train: Windows of the training videos, with targets.
            dev: Windows of the validation videos, with targets; None to fit without early stopping.
            bank: The videos that neighbours are taken from.
            seed: Seed of everything random.
            device: Device to fit on.
            progress: Function to call after each pass.
        """
        ...

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T) float64, on the scale of the targets."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model into a folder, which is created if it does not exist."""
        ...

    def load(self, folder: Path) -> None:
        """Replace the model by one that `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        ...
