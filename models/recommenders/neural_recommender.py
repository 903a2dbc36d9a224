"""What every recommender around a network has: options by name, and the network with its description on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import nn

from models.predictors.own_options import build_options

FORMAT = 1


class NeuralRecommender:
    """A `models.recommenders.recommender.Recommender` around a network; a subclass adds `fit` and `score`.

    Saved are the network's description as JSON and its weights as tensors, no executable pickles.

    Attributes:
        network_class: The network, with `config_class` (its hyper-parameters), `config`, `description()` and
            `from_description(description)`.
        options_class: Options of the training.
    """

    title: ClassVar[str]
    code: ClassVar[int]
    network_class: ClassVar[Any]
    options_class: ClassVar[type]

    def __init__(self, config: Any = None, options: Any = None) -> None:
        """Build an unfitted recommender.

        Args:
            config: Hyper-parameters of the network; None for the defaults.
            options: Options of the training; None for the defaults.
        """
        self.config = self.network_class.config_class() if config is None else config
        self.options = self.options_class() if options is None else options
        self._network: nn.Module | None = None

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check options by name.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        build_options(given, cls.network_class.config_class, cls.options_class)

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Self:
        """Build an unfitted recommender from options by name; see `check_options`."""
        return cls(*build_options(given, cls.network_class.config_class, cls.options_class))

    @property
    def network(self) -> Any:
        """The fitted network, in evaluation mode.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        if self._network is None:
            raise RuntimeError("the recommender is not fitted; call fit or load first")
        return self._network

    def save(self, folder: Path) -> None:
        """Write `config.json` and `weights.pt` to a folder, which is created if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.network.cpu().state_dict(), folder / "weights.pt")
        description = {"format": FORMAT, **self.network.description()}
        (folder / "config.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Read a network that `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        description = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise ValueError(f"{folder} has a model of format {description['format']}, but this version reads {FORMAT}")
        network = self.network_class.from_description(description)
        network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
        self.config, self._network = network.config, network.eval()
