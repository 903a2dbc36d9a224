"""Fit, predict, save and load of every predictor that is a network."""

from __future__ import annotations

import copy
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from models.predictors.checkpoints import Checkpoint
from models.predictors.network import PredictorNetwork
from models.predictors.own_options import SHARED, build_options, network_options
from models.predictors.prediction import predict
from models.predictors.ranks import SingleProcess
from models.predictors.samples import Bank, Samples
from models.predictors.search_space import NETWORK_SPACE, SearchSpace
from models.predictors.training import train
from models.predictors.training_options import TrainingOptions
from models.predictors.training_report import Epoch, TrainingReport

FORMAT = 2


class NeuralPredictor(ABC):
    """A `models.predictors.predictor.Predictor` around a network; a subclass says which network.

    Saved are the network's description as JSON and its weights as tensors, no executable pickles.

    Attributes:
        network_class: The network.
        config_class: Dataclass of the network's hyper-parameters. Its fields `width`, `hidden`, `dropout` and `neighbours`,
            where it has them, are set by the settings that all networks share.
        paper: Printed values of its fields and of those of `TrainingOptions`, for `model.preset = "paper"`.
    """

    network_class: ClassVar[type[PredictorNetwork]]
    config_class: ClassVar[type]
    paper: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    reads: ClassVar[tuple[str, ...]] = (*SHARED, "preset", "options", "whole_share")
    seeded = True
    reads_posts = False
    forecasts_alone = True

    def __init__(
        self,
        config: Any = None,
        options: TrainingOptions | None = None,
        *,
        temporal_encoder: nn.Module | None = None,
    ) -> None:
        """Build an unfitted predictor.

        Args:
            config: Hyper-parameters of the network, a `config_class`; None for the defaults.
            options: Options of the training; None for the defaults.
            temporal_encoder: A `models.temporal.TemporalEncoder`, for networks that use one; see `takes`. The network has
                a copy of it.
        """
        self.config = self.config_class() if config is None else config
        self.options = options or TrainingOptions()
        is_taken = temporal_encoder is not None and self.takes(temporal_encoder)
        self.temporal_encoder = temporal_encoder if is_taken else None
        self._network: PredictorNetwork | None = None

    def takes(self, temporal_encoder: nn.Module) -> bool:
        """Return whether the network uses a process; by default it does not."""
        return False

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return False; a subclass that reads `Samples.table` says so."""
        return False

    @classmethod
    def further_values(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of hyper-parameters that come from settings besides the shared ones; by default none."""
        return {}

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check `model.options` of this predictor.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        build_options(given, cls.config_class, TrainingOptions)

    @classmethod
    def search_space(cls) -> SearchSpace:
        """Return those of the papers' searched hyper-parameters that this network or its training has."""
        own = {field.name for kind in (cls.config_class, TrainingOptions) for field in fields(kind)}
        return {name: values for name, values in NETWORK_SPACE.items() if name in own}

    def hyperparameters(self) -> dict[str, Any]:
        """Return the value of every option of the network and of its training."""
        return {**asdict(self.options), **asdict(self.config)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build an unfitted predictor from the settings in `reads`; see `models.predictors.own_options`."""
        config, options = network_options(
            cls.config_class, settings, paper=cls.paper, further=cls.further_values(settings)
        )
        return cls(config, options, temporal_encoder=temporal_encoder)

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return None: it fits any data."""
        return None

    @abstractmethod
    def build(self, samples: Samples) -> PredictorNetwork:
        """Return a network with initial weights for samples of this form."""

    @property
    def network(self) -> PredictorNetwork:
        """The fitted network, in evaluation mode.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        if self._network is None:
            raise RuntimeError("the predictor is not fitted; call fit or load first")
        return self._network

    def fit(
        self,
        train_samples: Samples,
        dev: Samples | None,
        bank: Bank,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        checkpoint: Checkpoint | None = None,
        progress: Callable[[Epoch], None] | None = None,
        ranks: SingleProcess | None = None,
    ) -> TrainingReport:
        """Train the network; see `models.predictors.training.train`."""
        train_samples = self._nearest(train_samples)
        self._network, report = train(
            lambda: self.build(train_samples),
            train_samples,
            None if dev is None else self._nearest(dev),
            bank,
            options=self.options,
            seed=seed,
            device=device,
            checkpoint=checkpoint,
            progress=progress,
            ranks=ranks,
        )
        report.parameters = sum(weights.numel() for weights in self.network.parameters())
        return report

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T); see `models.predictors.prediction.predict`."""
        return predict(self.network, self._nearest(samples), bank, device=device)

    def _nearest(self, samples: Samples) -> Samples:
        """Return the samples with the most similar `neighbours` of their neighbours, if the network has this option."""
        count = getattr(self.config, "neighbours", None)
        if count is None or count >= samples.neighbourhood.index.shape[1]:
            return samples
        return replace(samples, neighbourhood=samples.neighbourhood.nearest(count))

    def save(self, folder: Path) -> None:
        """Write `config.json` and `weights.pt` to a folder, which is created if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.network.state_dict(), folder / "weights.pt")
        description = {"format": FORMAT, **self.network.description()}
        (folder / "config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read a network that `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format, the temporal encoder is missing, or the model takes none.
        """
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise ValueError(f"{folder} has a model of format {description['format']}, but this version reads {FORMAT}")
        # A copy: the model has its own weights of the process, and other models may share the given one.
        encoder = copy.deepcopy(self.temporal_encoder)
        network = self.network_class.from_description(description, temporal_encoder=encoder)
        network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
        self._network = network.eval()
