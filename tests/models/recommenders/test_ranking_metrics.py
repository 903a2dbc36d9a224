"""Ranking metrics against brute force over all orders of equals, against scikit-learn, and by hand."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from models.recommenders.ranking_metrics import auc, click_metrics, exposure_metrics, ranks

SCORES = np.array([0.9, 0.5, 0.5, 0.5, 0.2, 0.2])
CLICKED = np.array([False, True, False, True, False, True])


def orders() -> list[np.ndarray]:
    """Every order of the six exposures that puts none above one of a larger score, as click flags."""
    return [
        CLICKED[list(order)]
        for order in permutations(range(6))
        if all(SCORES[first] >= SCORES[second] for first, second in pairwise(order))
    ]


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 10])
def test_metrics_are_the_mean_over_all_orders_of_equal_scores(k):
    found = exposure_metrics(np.zeros(6, int), SCORES, CLICKED, ks=(k,)).values
    discount = 1 / np.log2(np.arange(6) + 2)
    rows = [
        (
            flags[:k].sum() / k,
            flags[:k].sum() / 3,
            (flags[:k] * discount[:k]).sum() / discount[: min(k, 3)].sum(),
            flags[:k].any(),
        )
        for flags in orders()
    ]
    names = ["precision", "recall", "NDCG", "hit rate"]
    assert [found[f"{name}@{k}"] for name in names] == pytest.approx(np.mean(rows, axis=0).tolist())


def test_five_users_with_ties_by_hand():
    user = np.repeat(["a", "b", "c", "d", "e"], [3, 2, 2, 1, 2])
    score = np.array([3, 2, 1, 1, 1, 2, 1, 5, 4, 4.0])
    clicked = np.array([1, 0, 1, 1, 0, 0, 1, 1, 0, 0], bool)
    found = exposure_metrics(user, score, clicked, ks=(1, 2))
    assert (found.users, found.left_out) == (4, 1)  # e has no click
    # precision@1: a 1, b 1/2 (a tie), c 0, d 1; recall@1: 1/2, 1/2, 0, 1
    assert found.values["precision@1"] == pytest.approx(2.5 / 4)
    assert found.values["recall@1"] == pytest.approx(2 / 4)
    assert found.values["F1@1"] == pytest.approx(2 * 0.625 * 0.5 / 1.125)
    assert found.values["F1 of users@1"] == pytest.approx((2 / 3 + 1 / 2 + 0 + 1) / 4)
    assert found.values["precision@2"] == pytest.approx((0.5 + 0.5 + 0.5 + 0.5) / 4)
    # AUC: a 1/2, b 1/2, c 0; d has no skip
    assert found.values["AUC"] == pytest.approx(1 / 3)
    # mean rank of the best click's group: a 1, b 1.5, c 2, d 1
    assert found.values["MRR"] == pytest.approx((1 + 1 / 1.5 + 1 / 2 + 1) / 4)


def test_values_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    user, score = rng.integers(0, 20, 600), rng.integers(0, 12, 600).astype(float)
    clicked = rng.random(600) < 0.3
    found = exposure_metrics(user, score, clicked, ks=(5,)).values
    assert found["AUC global"] == pytest.approx(metrics.roc_auc_score(clicked, score))
    rows = [user == number for number in range(20)]
    assert found["AUC"] == pytest.approx(np.mean([metrics.roc_auc_score(clicked[row], score[row]) for row in rows]))
    expected = [metrics.ndcg_score([clicked[row]], [score[row]], k=5) for row in rows]
    assert found["NDCG@5"] == pytest.approx(np.mean(expected))


def test_ranks_are_counted_one_by_one():
    rng = np.random.default_rng(1)
    scores, target = rng.integers(0, 6, (40, 15)).astype(np.float32), rng.integers(0, 15, 40)
    found = ranks(scores, target)
    for row in range(40):
        own = scores[row, target[row]]
        above, equal = sum(scores[row] > own), sum(scores[row] == own) - 1
        assert found[row] == 1 + above + equal / 2
    assert ranks(np.zeros((1, 15)), np.array([4])).tolist() == [8.0]
    with pytest.raises(ValueError, match="question 1 hold NaN"):
        ranks(np.array([[1.0], [np.nan]]), np.array([0, 0]))


def test_metrics_of_single_clicks_by_hand():
    found = click_metrics(np.array([1.0, 4.0, 11.0]), np.array([7, 7, 9]), ks=(10,), left_out=3)
    assert (found.users, found.left_out) == (2, 3)
    assert found.values["hit rate@10"] == pytest.approx(0.5)  # user 7 has 1, user 9 has 0
    assert found.values["NDCG@10"] == pytest.approx((1 + 1 / np.log2(5)) / 4)
    assert found.values["MRR"] == pytest.approx(((1 + 1 / 4) / 2 + 1 / 11) / 2)


def test_without_any_click_there_is_no_metric():
    found = exposure_metrics(np.array([1, 2]), np.zeros(2), np.zeros(2, bool))
    assert (found.users, found.left_out) == (0, 2)
    assert np.isnan(found.values["AUC"]) and np.isnan(found.values["precision@10"])
    assert np.isnan(auc(np.zeros(2, bool), np.zeros(2)))
    assert exposure_metrics(np.array([]), np.array([]), np.array([], bool)).left_out == 0
