"""Metrics of a fitted recommender on held-out exposures, all with the histories of the training."""

from __future__ import annotations

import numpy as np
import torch

from models.recommenders.exposure_blocks import exposure_blocks
from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_features import ItemFeatures
from models.recommenders.queries import Queries
from models.recommenders.ranking_metrics import RankingMetrics, click_metrics, exposure_metrics, ranks
from models.recommenders.recommender import Recommender

EXPOSURES_AT_ONCE, USERS_AT_ONCE = 64, 256


def exposure_scores(
    recommender: Recommender,
    histories: UserHistories,
    features: ItemFeatures,
    rows: np.ndarray,
    *,
    seen: np.ndarray | None = None,
    at_once: int = EXPOSURES_AT_ONCE,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Return a recommender's scores of exposures, (n,) float32.

    Args:
        recommender: The fitted recommender.
        histories: The histories.
        features: Content of the items.
        rows: (n,) rows of exposures, ascending.
        seen: (U,) how many exposures of each user may be read at most, such as those of the training. None: all that
            are strictly earlier than the exposure, or than the first of up to `at_once` successive ones that are
            scored together.
        at_once: Successive exposures of a user that share one history.
        device: Device to compute on.
    """
    blocks = exposure_blocks(histories, rows, at_once)
    queries = Queries.before(histories, blocks[:, 0])
    if seen is not None:
        queries = Queries(queries.user, np.minimum(queries.seen, seen[queries.user]), queries.time)
    candidates = np.where(blocks >= 0, histories.item[np.maximum(blocks, 0)], 0).astype(np.int64)
    parts = []
    for first in range(0, len(blocks), USERS_AT_ONCE):
        part = slice(first, first + USERS_AT_ONCE)
        scores = recommender.score(histories, features, queries.take(part), candidates[part], device=device)
        parts.append(scores[blocks[part] >= 0])
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def metrics_of_exposures(
    recommender: Recommender,
    histories: UserHistories,
    features: ItemFeatures,
    split: HistorySplit,
    *,
    ks: tuple[int, ...] = (10, 50),
    device: torch.device | str = "cpu",
) -> RankingMetrics:
    """Return metrics of each user's test exposures among themselves, with the user's training exposures as history."""
    scores = exposure_scores(recommender, histories, features, split.test, seen=split.train, device=device)
    user = np.searchsorted(histories.start, split.test, side="right") - 1
    return exposure_metrics(user, scores, np.asarray(histories.clicked[split.test]), ks=ks)


def metrics_of_clicks(
    recommender: Recommender,
    histories: UserHistories,
    features: ItemFeatures,
    split: HistorySplit,
    *,
    ks: tuple[int, ...] = (10,),
    device: torch.device | str = "cpu",
) -> RankingMetrics:
    """Return metrics of each user's test clicks among all items, with the user's training exposures as history."""
    clicks = split.test[np.asarray(histories.clicked[split.test])]
    user = np.searchsorted(histories.start, clicks, side="right") - 1
    users, first = np.unique(user, return_index=True)
    queries = Queries(users, split.train[users], np.asarray(histories.time[clicks[first]], np.int64))
    found = []
    for begin in range(0, len(users), USERS_AT_ONCE):
        part = slice(begin, begin + USERS_AT_ONCE)
        scores = recommender.score(histories, features, queries.take(part), device=device)
        own = np.flatnonzero((user >= users[part][0]) & (user <= users[part][-1]))
        place = np.searchsorted(users[part], user[own])
        found.append(ranks(scores[place], np.asarray(histories.item[clicks[own]], np.int64)))
    tested = len(np.unique(np.searchsorted(histories.start, split.test, side="right")))
    return click_metrics(np.concatenate(found), user, ks=ks, left_out=tested - len(users))
