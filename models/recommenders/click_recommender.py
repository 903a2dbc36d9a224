"""Fit and score of every recommender that is a click model."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch

from models.recommenders.click_data import ClickData
from models.recommenders.click_network import ClickNetwork, DataSizes
from models.recommenders.click_options import ClickTraining
from models.recommenders.click_training import train
from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_features import ItemFeatures
from models.recommenders.neural_recommender import NeuralRecommender
from models.recommenders.queries import Queries
from models.recommenders.recommender import RecommenderEpoch, RecommenderReport

QUESTIONS_AT_ONCE, CANDIDATES_AT_ONCE = 64, 512


class ClickRecommender(NeuralRecommender):
    """A recommender around a `ClickNetwork`; a subclass says which network.

    It is trained on all training exposures, to tell clicks from skips.
    """

    network_class: ClassVar[type[ClickNetwork]]
    options_class = ClickTraining

    def obstacle(self, histories: UserHistories, features: ItemFeatures) -> str | None:
        """Return why the recommender cannot be fitted to these data; None if it can."""
        if not features.vectors and not self.config.ids:
            return "the items have no features; the option ids = true gives each a learned vector"
        return None

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
