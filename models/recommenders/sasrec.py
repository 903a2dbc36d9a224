"""SASRec as a recommender, with items by their content, and the recommendation score of MUFM (appendix 5)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from models.recommenders.click_sequences import ClickSequences
from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_features import ItemFeatures
from models.recommenders.neural_recommender import NeuralRecommender
from models.recommenders.queries import Queries
from models.recommenders.recommender import RecommenderEpoch, RecommenderReport
from models.recommenders.sasrec_network import SASRecNetwork
from models.recommenders.sasrec_training import SASRecFit, SASRecTraining, item_vectors, user_vectors

MOST_ITEMS = 100_000  # with the loss "softmax"


class SASRec(NeuralRecommender):
    """SASRec (Kang and McAuley 2018) over a user's clicks; skipped exposures are not read.

    By default items are known by content alone, so an item that nobody has met yet has a score like any other.

    Example:
        >>> from models.recommenders import UserHistories, ItemFeatures, leave_one_out
        >>> histories = UserHistories(
        ...     users=np.array(["a", "b"]),
        ...     items=np.array(["x", "y", "z"]),
        ...     start=np.array([0, 4, 8]),
        ...     item=np.array([0, 1, 2, 0, 1, 2, 0, 1], np.int32),
        ...     time=np.array([1, 2, 3, 4, 1, 2, 3, 4]),
        ...     clicked=np.ones(8, bool),
        ... )
        >>> model = SASRec.from_options({"epochs": 1, "ids": True})
        >>> report = model.fit(histories, ItemFeatures(), leave_one_out(histories))
        >>> model.score(histories, ItemFeatures(), Queries.before(histories, np.array([2]))).shape
        (1, 3)
    """

    title = "SASRec"
    code = 4
    network_class = SASRecNetwork
    options_class = SASRecTraining

    def obstacle(self, histories: UserHistories, features: ItemFeatures) -> str | None:
        """Return why it cannot be fitted to these data, in words that follow "SASRec: "; None if it can."""
        if not len(histories) or np.diff(ClickSequences.of(histories).start).max() < 2:
            return "no user has two clicks"
        if not features.widths and not self.config.ids:
            return "items have no content; ids = true learns a vector per item"
        if self.config.loss == "softmax" and len(histories.items) > MOST_ITEMS:
            return f"loss = 'softmax' takes at most {MOST_ITEMS:,} items, and there are {len(histories.items):,}; use 'bce'"
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
        """Fit to the training clicks; NDCG@10 of the validation clicks among all training items decides when to stop.

        Args:
            histories: All exposures.
            features: Content of the items.
            split: The division of the exposures.
            seed: Seed of everything random.
            device: Device to fit on.
            progress: Function to call after each pass.

        Raises:
            ValueError: There is an obstacle (see `obstacle`), or no user has two training clicks.
            FloatingPointError: The loss is NaN or infinite.
        """
        if (obstacle := self.obstacle(histories, features)) is not None:
            raise ValueError(f"{self.title}: {obstacle}")
        with torch.random.fork_rng(devices=[]):  # the caller's random state does not change
            torch.manual_seed(seed)
            network = SASRecNetwork(self.config, features.widths, items=len(histories.items))
            fit = SASRecFit(network, histories, features, split, options=self.options, seed=seed, device=device)
            report = fit.run(progress)
        self._network = network.cpu().eval()
        return report

    def score(
        self,
        histories: UserHistories,
        features: ItemFeatures,
        queries: Queries,
        candidates: np.ndarray | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> np.ndarray:
        """Return r = F . m_j of eq. 38, 0 for a user without a click; see `Recommender.score`."""
        network = self.network.to(device)
        rows, place = np.arange(len(histories.items)), None
        if candidates is not None:
            rows, place = np.unique(candidates, return_inverse=True)
            place = torch.from_numpy(place.reshape(candidates.shape)).to(device)
        items = item_vectors(network, features, rows.astype(np.int64), device=device)
        parts = []
        for block, user in user_vectors(network, ClickSequences.of(histories), features, queries, device=device):
            own = user @ items.T if place is None else (items[place[block]] @ user[:, :, None]).squeeze(-1)
            parts.append(own.cpu().numpy())
        return (
            np.concatenate(parts)
            if parts
            else np.zeros((0, len(rows) if place is None else place.shape[1]), np.float32)
        )

    def mean_scores(
        self, histories: UserHistories, features: ItemFeatures, *, device: torch.device | str = "cpu"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean score of each item over all users with a click, and Score_SAS, its sigmoid (eq. 39, 40).

        The score is linear in the user, so the mean user's score is the mean score: O((U + N) d) instead of U x N scores.

        Args:
            histories: The users' clicks, all of which are read.
            features: Content of the items of `histories`, all of which are scored.
            device: Device to compute on.

        Returns:
            (N,) float64 each.

        Raises:
            ValueError: Items have learned vectors, which new items lack.
        """
        if self.config.ids:
            raise ValueError("new items have no learned vector; a recommendation score needs ids = false")
        network, clicks = self.network.to(device), ClickSequences.of(histories)
        users = np.flatnonzero(np.diff(clicks.start) > 0)
        queries = Queries(users, np.diff(histories.start)[users], np.zeros(len(users), np.int64))
        total = torch.zeros(self.config.width, dtype=torch.float64)
        for _, user in user_vectors(network, clicks, features, queries, device=device):
            total += user.double().sum(0).cpu()
        mean = item_vectors(network, features, np.arange(len(histories.items)), device=device).double().cpu() @ (
            total / max(len(users), 1)
        )
        return mean.numpy(), mean.sigmoid().numpy()
