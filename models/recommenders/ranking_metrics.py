"""Metrics of rankings: of single clicks among all items, and of exposures that were clicked or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class RankingMetrics:
    """Metrics, each a mean over users unless its name says "global".

    Attributes:
        values: Name -> value, such as "NDCG@10". A metric that no user has is NaN.
        users: Users over whom the means are taken.
        left_out: Users without a click, who have no metric.
    """

    values: dict[str, float]
    users: int
    left_out: int


def ranks(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rank of one item per row among all items, from 1.

    Items of equal score share their mean rank, so a model that scores all items alike gains nothing.

    Args:
        scores: (q, N) scores, larger is better; -inf for an item that is no candidate.
        target: (q,) the clicked item's column.

    Raises:
        ValueError: A score is NaN.

    Example:
        >>> ranks(np.array([[0.3, 0.9, 0.3]]), np.array([0])).tolist()
        [2.5]
    """
    if np.isnan(scores).any():
        raise ValueError(f"the scores of question {np.flatnonzero(np.isnan(scores).any(1))[0]} hold NaN")
    own = scores[np.arange(len(scores)), target][:, None]
    return 1.0 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2


def click_metrics(
    rank: np.ndarray, user: np.ndarray | None = None, *, ks: Sequence[int] = (10,), left_out: int = 0
) -> RankingMetrics:
    """Return the metrics of single clicks that were ranked among all items.

    Args:
        rank: (q,) rank of each click, from `ranks`.
        user: (q,) the user of each click; a user's clicks are averaged first. Default: one click per user.
        ks: Lengths K of the lists.
        left_out: Users without a click to rank.

    Returns:
        "hit rate@K", "NDCG@K", "MRR@K" for each K, and "MRR".

    Example:
        >>> click_metrics(np.array([1.0, 20.0])).values["NDCG@10"]
        0.5
    """
    user = np.arange(len(rank)) if user is None else user
    names, group = np.unique(user, return_inverse=True)
    gains = {"MRR": 1 / rank}
    for k in ks:
        inside = rank <= k
        gains[f"hit rate@{k}"] = inside.astype(float)
        gains[f"NDCG@{k}"] = np.where(inside, 1 / np.log2(rank + 1), 0.0)
        gains[f"MRR@{k}"] = np.where(inside, 1 / rank, 0.0)
    count = np.bincount(group, minlength=len(names))
    values = {name: _mean(np.bincount(group, gain, len(names)) / count) for name, gain in gains.items()}
    return RankingMetrics(values, len(names), left_out)


def exposure_metrics(
    user: np.ndarray, score: np.ndarray, clicked: np.ndarray, *, ks: Sequence[int] = (10, 50)
) -> RankingMetrics:
    """Return the metrics of exposures: each user's exposures are ranked among themselves.

    Exposures of equal score stand in random order: every metric is its expectation over these orders.

    Args:
        user: (e,) the user of each exposure.
        score: (e,) scores, larger is better.
        clicked: (e,) bool.
        ks: Lengths K of the lists. Shorter lists than K count as they are, with precision over K.

    Returns:
        "AUC global" over all exposures; "AUC", the mean over users with clicks and skips; and per K "precision@K",
        "recall@K", "NDCG@K", "hit rate@K", "F1@K" (of the mean precision and recall, as MTIN's tables have it) and "F1 of
        users@K" (the mean of the users' own). "MRR" takes the mean rank of a user's best click and its equals.

    Raises:
        ValueError: A score is NaN.
    """
    if np.isnan(score).any():
        raise ValueError(f"the score of exposure {np.flatnonzero(np.isnan(score))[0]} is NaN")
    clicked = np.asarray(clicked, bool)
    order = np.lexsort((-score, user))
    user, score, clicked = user[order], score[order], clicked[order]
    bounds = np.flatnonzero(np.r_[True, user[1:] != user[:-1], True]) if len(user) else np.zeros(1, np.int64)
    rows: list[dict[str, float]] = []
    for begin, end in pairwise(bounds):
        if clicked[begin:end].any():
            rows.append(_user_metrics(score[begin:end], clicked[begin:end], ks))
    names = [
        "AUC",
        "MRR",
        *(f"{name}@{k}" for k in ks for name in ("precision", "recall", "F1 of users", "NDCG", "hit rate")),
    ]
    values = {name: _mean(np.array([row[name] for row in rows])) for name in names}
    for k in ks:
        values[f"F1@{k}"] = _harmonic(values[f"precision@{k}"], values[f"recall@{k}"])
    values["AUC global"] = auc(clicked, score)
    return RankingMetrics(values, len(rows), len(bounds) - 1 - len(rows))


def auc(clicked: np.ndarray, score: np.ndarray) -> float:
    """Return the probability that a clicked exposure scores above a skipped one, ties counted half; NaN without both.

    Args:
        clicked: (e,) bool.
        score: (e,) scores.

    Example:
        >>> auc(np.array([True, False]), np.array([0.2, 0.1]))
        1.0
    """
    clicks = int(clicked.sum())
    skips = len(clicked) - clicks
    if not clicks or not skips:
        return float("nan")
    from scipy.stats import rankdata  # it takes a second to load, and every command loads this module

    return float((rankdata(score)[clicked].sum() - clicks * (clicks + 1) / 2) / (clicks * skips))


def _user_metrics(score: np.ndarray, clicked: np.ndarray, ks: Sequence[int]) -> dict[str, float]:
    """Return the metrics of one user's exposures, in descending order of their scores, at least one of them clicked."""
    tie = np.r_[True, score[1:] != score[:-1]].cumsum() - 1  # number of each exposure's group of equals
    size = np.bincount(tie)
    clicks = np.bincount(tie, clicked)
    first = size.cumsum() - size  # exposures before the group
    chance = (clicks / size)[tie]  # that the exposure at a place is a click
    total, discount = clicked.sum(), 1 / np.log2(np.arange(len(score)) + 2)
    best = int(np.flatnonzero(clicks)[0])
    row = {"AUC": auc(clicked, score), "MRR": 1 / (first[best] + (size[best] + 1) / 2)}
    for k in ks:
        found = chance[:k].sum()
        row[f"precision@{k}"], row[f"recall@{k}"] = found / k, found / total
        row[f"F1 of users@{k}"] = _harmonic(found / k, found / total)
        row[f"NDCG@{k}"] = (chance[:k] * discount[:k]).sum() / discount[: min(k, int(total))].sum()
        row[f"hit rate@{k}"] = _chance_of_hit(size, clicks, first, k)
    return row


def _chance_of_hit(size: np.ndarray, clicks: np.ndarray, first: np.ndarray, k: int) -> float:
    """Return the probability that one of the first k places holds a click."""
    best = int(np.flatnonzero(clicks)[0])
    drawn, skips = int(min(k - first[best], size[best])), int(size[best] - clicks[best])
    if drawn <= 0:
        return 0.0
    places = np.arange(drawn)
    return 1.0 - float(np.prod(np.maximum(skips - places, 0) / (size[best] - places)))


def _harmonic(precision: float, recall: float) -> float:
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
