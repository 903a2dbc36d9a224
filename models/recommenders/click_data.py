"""Histories, features and a split, as the training of a click model reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.recommenders.click_batch import ClickBatch, item_content, make_batch
from models.recommenders.exposure_blocks import exposure_blocks
from models.recommenders.histories import UserHistories
from models.recommenders.item_features import ItemFeatures
from models.recommenders.queries import Queries
from models.recommenders.recent_exposures import RecentExposures

USERS_AT_ONCE = 64
SAMPLED_ITEMS = 20_000  # whose content the standardisers are fitted to


@dataclass(frozen=True)
class ClickBlocks:
    """Questions with the exposures that answer them.

    Attributes:
        queries: k questions.
        exposures: (k, c) rows of exposures, -1 for none.
        negatives: Items drawn at random per click, which count as skipped.
    """

    queries: Queries
    exposures: np.ndarray
    negatives: int


class ClickData:
    """Makes minibatches; the arrays of histories and features may be memory-mapped, and only rows of a minibatch are read."""

    def __init__(self, histories: UserHistories, features: ItemFeatures, lengths: tuple[int, int]) -> None:
        """Keep the data.

        Args:
            histories: The histories.
            features: Content of their items.
            lengths: Largest number of clicks and of skips per history.
        """
        self.histories, self.features, self._lengths = histories, features, lengths
        self._recent = RecentExposures(histories)

    def training_blocks(self, train: np.ndarray, size: int, negatives: int | None) -> ClickBlocks:
        """Return the first train[u] exposures of every user u in blocks, each with the history before its first exposure."""
        counts = np.diff(self.histories.start)
        place = np.arange(counts.sum()) - np.repeat(self.histories.start[:-1], counts)
        rows = np.flatnonzero(place < np.repeat(train, counts))
        blocks = exposure_blocks(self.histories, rows, size)
        return ClickBlocks(
            Queries.before(self.histories, blocks[:, 0]),
            blocks,
            self._negatives(rows) if negatives is None else negatives,
        )

    def held_out_blocks(self, rows: np.ndarray, train: np.ndarray, size: int) -> ClickBlocks:
        """Return exposures in blocks, each with its user's training exposures as history."""
        blocks = exposure_blocks(self.histories, rows, size)
        before = Queries.before(self.histories, blocks[:, 0])
        seen = np.minimum(before.seen, train[before.user])
        return ClickBlocks(Queries(before.user, seen, before.time), blocks, self._negatives(rows))

    def _negatives(self, rows: np.ndarray) -> int:
        """Return 1 if all exposures are clicks, so that there is nothing to tell them from; else 0."""
        return int(bool(np.all(self.histories.clicked[rows])))

    def batch(self, blocks: ClickBlocks, chosen: np.ndarray, random: np.random.Generator) -> ClickBatch:
        """Return the minibatch of some blocks."""
        exposures = blocks.exposures[chosen]
        candidates = np.where(exposures >= 0, self.histories.item[np.maximum(exposures, 0)], -1).astype(np.int64)
        labels = np.asarray(self.histories.clicked)[np.maximum(exposures, 0)]
        if blocks.negatives:
            drawn = random.integers(len(self.histories.items), size=(len(chosen), exposures.shape[1], blocks.negatives))
            is_click = ((exposures >= 0) & labels)[..., None]
            drawn = np.where(is_click, drawn, -1).reshape(len(chosen), -1)
            candidates = np.concatenate([candidates, drawn], 1)
            labels = np.concatenate([labels, np.zeros(drawn.shape, bool)], 1)
        return self.ask(blocks.queries.take(chosen), candidates, labels)

    def ask(self, queries: Queries, candidates: np.ndarray, labels: np.ndarray | None = None) -> ClickBatch:
        """Return a minibatch of questions with candidates (b, c), -1 for none."""
        return make_batch(
            self.histories, self._recent, self.features, queries, candidates, lengths=self._lengths, labels=labels
        )

    def users(self, train: np.ndarray) -> Iterator[ClickBatch]:
        """Yield all users with their training exposures as histories, without candidates."""
        for first in range(0, len(self.histories), USERS_AT_ONCE):
            user = np.arange(first, min(first + USERS_AT_ONCE, len(self.histories)))
            last = np.maximum(self.histories.start[user] + train[user] - 1, 0)
            yield self.ask(Queries(user, train[user], self.histories.time[last]), np.zeros((len(user), 0), np.int64))

    def training_content(self, train: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return the content (n, f) of items of random training exposures; NaN where an item lacks a modality."""
        places = random.integers(train.sum(), size=5 * SAMPLED_ITEMS)
        ends = np.cumsum(train)
        user = np.searchsorted(ends, places, side="right")
        rows = np.unique(self.histories.start[user] + places - (ends - train)[user])
        items = np.unique(self.histories.item[rows])
        return item_content(self.features, items[:: max(1, len(items) // SAMPLED_ITEMS)])
