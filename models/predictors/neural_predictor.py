"""Fit, predict, save and load of every predictor that is a network."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.predictors.network import PredictorNetwork
from models.predictors.prediction import predict
from models.predictors.samples import Bank, Samples
from models.predictors.training import train
from models.predictors.training_options import TrainingOptions
from models.predictors.training_report import Epoch, TrainingReport

FORMAT = 2


class NeuralPredictor(ABC):
    """A `models.predictors.predictor.Predictor` around a network; a subclass says which network.

    Saved are the network's description as JSON and its weights as tensors, no executable pickles.
    """

    network_class: type[PredictorNetwork]
    seeded = True

    def __init__(self, options: TrainingOptions | None = None, *, temporal_encoder: nn.Module | None = None) -> None:
        """Build an unfitted predictor.

        Args:
            options: Options of the training; None for the defaults.
            temporal_encoder: A process for networks that use one. The network trains a copy of it.
        """
        self.options, self.temporal_encoder = options or TrainingOptions(), temporal_encoder
        self._network: PredictorNetwork | None = None

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
        progress: Callable[[Epoch], None] | None = None,
    ) -> TrainingReport:
        """Train the network; see `models.predictors.training.train`."""
        self._network, report = train(
            lambda: self.build(train_samples),
            train_samples,
            dev,
            bank,
            options=self.options,
            seed=seed,
            device=device,
            progress=progress,
        )
        return report

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T); see `models.predictors.prediction.predict`."""
        return predict(self.network, samples, bank, device=device)

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
        network = self.network_class.from_description(description, temporal_encoder=self.temporal_encoder)
        network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
        self._network = network.eval()
