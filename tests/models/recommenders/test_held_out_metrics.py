"""Metrics of a recommender on held-out exposures: whose history it reads, and how ties and users without a click count."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from models.recommenders import HistorySplit, ItemFeatures, Queries, UserHistories
from models.recommenders.held_out_metrics import exposure_scores, metrics_of_clicks, metrics_of_exposures

HISTORIES = UserHistories(
    users=np.array(["a", "b", "c"]),
    items=np.array(["v", "w", "x", "y"]),
    start=np.array([0, 4, 7, 9]),
    item=np.array([0, 1, 2, 3, 1, 2, 3, 0, 1], np.int32),
    time=np.array([1, 2, 3, 3, 1, 2, 3, 5, 6]),
    clicked=np.array([1, 0, 1, 0, 1, 0, 1, 1, 0], bool),
)
SPLIT = HistorySplit(np.array([2, 1, 1]), np.zeros(0, np.int64), np.array([2, 3, 5, 6, 8]))


@dataclass
class ScoresItems:
    """Scores an item by its number, and notes what it was asked."""

    asked: list[tuple[int, int]] = field(default_factory=list)

    def score(self, histories, features, queries: Queries, candidates=None, *, device="cpu"):
        self.asked += list(zip(queries.user.tolist(), queries.seen.tolist()))
        rows = np.tile(np.arange(len(histories.items)), (len(queries), 1)) if candidates is None else candidates
        return rows.astype(np.float32)


def test_test_exposures_have_the_training_as_history():
    model = ScoresItems()
    found = metrics_of_exposures(model, HISTORIES, ItemFeatures(), SPLIT, ks=(1,))
    assert model.asked == [(0, 2), (1, 1), (2, 1)]
    # a: item 3 (skipped) above item 2 (clicked); b: item 3 (clicked) above item 2; c has no click
    assert (found.users, found.left_out) == (2, 1)
    assert found.values["AUC"] == pytest.approx(0.5)
    assert found.values["precision@1"] == pytest.approx(0.5)


def test_test_clicks_are_ranked_among_all_items():
    model = ScoresItems()
    found = metrics_of_clicks(model, HISTORIES, ItemFeatures(), SPLIT)
    assert model.asked == [(0, 2), (1, 1)]
    assert (found.users, found.left_out) == (2, 1)
    assert found.values["MRR"] == pytest.approx((1 / 2 + 1) / 2)  # item 2 is second, item 3 first


def test_exposures_may_read_all_that_is_strictly_earlier():
    model = ScoresItems()
    exposure_scores(model, HISTORIES, ItemFeatures(), SPLIT.test, at_once=1)
    assert model.asked == [(0, 2), (0, 2), (1, 1), (1, 2), (2, 1)]  # exposures 2 and 3 are at one time
