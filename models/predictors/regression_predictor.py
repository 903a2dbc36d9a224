"""Base class of predictors that fit one regression per target instead of a network."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from models.predictors.own_options import build_options
from models.predictors.samples import Bank, Samples
from models.predictors.search_space import SearchSpace
from models.predictors.training_report import Epoch, TrainingReport
from models.predictors.validation import check_targets, mean_nmse


class RegressionPredictor(ABC):
    """A `models.predictors.predictor.Predictor` that fits one regression per target, not a network.

    Attributes:
        options_class: Dataclass of its hyper-parameters.
        space: Ranges of those that a search varies.
        paper: Printed values of its fields, for `model.preset = "paper"`.
        file: File that describes a saved model.
        format: Version of the saved model's format.
    """

    options_class: ClassVar[type]
    space: ClassVar[SearchSpace]
    paper: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    file: ClassVar[str]
    format: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("preset", "options")
    seeded = True
    reads_posts = False
    forecasts_alone = True
    sees_feedback = False

    def __init__(self, options: Any = None) -> None:
        """Build an unfitted predictor; None for the default options."""
        self.options = self.options_class() if options is None else options

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return True; a subclass that reads content alone says so."""
        return True

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check `model.options` of this predictor.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        build_options(given, cls.options_class)

    @classmethod
    def search_space(cls) -> SearchSpace:
        """Return the options that a search for hyper-parameters varies, with their ranges."""
        return cls.space

    def hyperparameters(self) -> dict[str, Any]:
        """Return the value of every option."""
        return asdict(self.options)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build an unfitted predictor; the process does not change it."""
        printed = cls.paper if settings.get("preset") == "paper" else {}
        return cls(*build_options({**printed, **settings["options"]}, cls.options_class))

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return None: it fits any data."""
        return None

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
        """Fit to every target; see `models.predictors.predictor.Predictor`. It runs on the CPU."""
        check_targets(train, dev)
        started, report = time.perf_counter(), TrainingReport(seed)
        report.best_epoch = self.fit_targets(train, dev, seed=seed)
        report.parameters = self.parameter_count()
        if dev is not None:
            report.best_dev_nmse = mean_nmse(dev, self.predict(dev, bank), scale=target_scale(train.target))
        report.seconds = time.perf_counter() - started
        return report

    @abstractmethod
    def fit_targets(self, train: Samples, dev: Samples | None, *, seed: int) -> int:
        """Fit to every target, and return the number of steps (trees or passes) of the longest fit; 0 if it has none."""

    @abstractmethod
    def parameter_count(self) -> int:
        """Return how many numbers the fitted model consists of."""

    @abstractmethod
    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T) float64, on the scale of the targets."""

    def windows_used(self, samples: Samples) -> np.ndarray:
        """Return which windows a fit uses, (n,) bool.

        All windows of a video look the same to a predictor that sees no feedback, so it uses one per video.
        """
        if self.sees_feedback:
            return np.ones(len(samples), bool)
        used = np.zeros(len(samples), bool)
        used[samples.first_windows] = True
        return used

    def write_description(self, folder: Path, description: Mapping[str, Any]) -> None:
        """Write JSON with the format beside it into a folder, which is created if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": self.format, **description}, indent=2)
        (folder / self.file).write_text(text + "\n", encoding="utf-8")

    def read_description(self, folder: Path) -> dict[str, Any]:
        """Return what `write_description` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        description = json.loads((folder / self.file).read_text(encoding="utf-8"))
        if description["format"] != self.format:
            raise ValueError(
                f"{folder} has a model of format {description['format']}, but this version reads {self.format}"
            )
        return description


def target_scale(target: np.ndarray) -> np.ndarray:
    """Return the deviation of each target's known labels, (T,); 1 where it is 0 or no label is known."""
    scale = np.nan_to_num(np.nanstd(target, axis=0), nan=1.0)
    return np.where(scale > 0, scale, 1.0)
