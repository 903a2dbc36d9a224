"""Fit, score, save and load of every recommender that is a click model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from models.predictors.own_options import build_options
from models.recommenders.click_data import ClickData
from models.recommenders.click_network import ClickNetwork, DataSizes
from models.recommenders.click_options import ClickTraining
from models.recommenders.click_training import train
from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_features import ItemFeatures
from models.recommenders.queries import Queries
from models.recommenders.recommender import RecommenderEpoch, RecommenderReport

FORMAT = 1
QUESTIONS_AT_ONCE, CANDIDATES_AT_ONCE = 64, 512


class ClickRecommender:
    """A `models.recommenders.recommender.Recommender` around a `ClickNetwork`; a subclass says which network.

    It is trained on all training exposures, to tell clicks from skips. Saved are the network's description as JSON and
    its weights as tensors, no executable pickles.

    Attributes:
        network_class: The network.
    """

    title: ClassVar[str]
    code: ClassVar[int]
    network_class: ClassVar[type[ClickNetwork]]

    def __init__(self, config: Any = None, options: ClickTraining | None = None) -> None:
        """Build an unfitted recommender.

        Args:
            config: Hyper-parameters of the network; None for the defaults.
            options: Options of the training; None for the defaults.
        """
        self.config = self.network_class.config_class() if config is None else config
        self.options = options or ClickTraining()
        self._network: ClickNetwork | None = None

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check options by name.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        build_options(given, cls.network_class.config_class, ClickTraining)

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Self:
        """Build an unfitted recommender from options by name; see `check_options`."""
        return cls(*build_options(given, cls.network_class.config_class, ClickTraining))

    def obstacle(self, histories: UserHistories, features: ItemFeatures) -> str | None:
        """Return why the recommender cannot be fitted to these data; None if it can."""
        if not features.vectors and not self.config.ids:
            return "the items have no features; the option ids = true gives each a learned vector"
        return None

    @property
    def network(self) -> ClickNetwork:
        """The fitted network, in evaluation mode.

        Raises:
            RuntimeError: Neither `fit` nor `load` was called.
        """
        if self._network is None:
            raise RuntimeError("the recommender is not fitted; call fit or load first")
        return self._network

    def fit(
        self,
        histories: UserHistories,
        features: ItemFeatures,
        split: HistorySplit,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Callable[[RecommenderEpoch], None] | None = None,
    ) -> RecommenderReport:
        """Fit the network; see `models.recommenders.click_training.train`.

        Raises:
            ValueError: There is an obstacle, or no exposure to train on.
        """
        if told := self.obstacle(histories, features):
            raise ValueError(f"{self.title}: {told}")
        categories = 0 if features.category is None else 1 + int(np.max(features.category, initial=0))
        sizes = DataSizes(len(histories), len(histories.items), sum(features.widths.values()), categories)
        self._network, report = train(
            lambda: self.network_class(self.config, sizes),
            ClickData(histories, features, self._lengths),
            split,
            options=self.options,
            seed=seed,
            device=device,
            progress=progress,
        )
        return report

    @property
    def _lengths(self) -> tuple[int, int]:
        return self.config.clicks, self.config.skips

    @torch.no_grad()
    def score(
        self,
        histories: UserHistories,
        features: ItemFeatures,
        queries: Queries,
        candidates: np.ndarray | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> np.ndarray:
        """Return scores (q, c) float32, larger for an item that the user is more likely to click.

        Args:
            histories: The histories that `queries` refers to, with the users of the fit.
            features: Content of the items.
            queries: q questions.
            candidates: (q, c) rows of items. None: all N items.
            device: Device to compute on.
        """
        data, network = ClickData(histories, features, self._lengths), self.network.to(device)
        width = len(histories.items) if candidates is None else candidates.shape[1]
        scores = np.empty((len(queries), width), np.float32)
        for first in range(0, len(queries), QUESTIONS_AT_ONCE):
            rows = slice(first, first + QUESTIONS_AT_ONCE)
            part = queries.take(rows)
            for begin in range(0, width, CANDIDATES_AT_ONCE):
                columns = slice(begin, begin + CANDIDATES_AT_ONCE)
                if candidates is None:
                    asked = np.tile(np.arange(width)[columns], (len(part), 1))
                else:
                    asked = candidates[rows, columns]
                scores[rows, columns] = network(data.ask(part, asked).to(device)).cpu().numpy()
        return scores

    def save(self, folder: Path) -> None:
        """Write `config.json` and `weights.pt` to a folder, which is created if it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.network.state_dict(), folder / "weights.pt")
        description = {"format": FORMAT, "config": asdict(self.config), "sizes": self.network.sizes._asdict()}
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
        self.config = self.network_class.config_class(**description["config"])
        network = self.network_class(self.config, DataSizes(**description["sizes"]))
        network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
        self._network = network.eval()
