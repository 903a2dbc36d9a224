"""Division of histories into exposures for training, validation and test, in the order of time within each user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommenders.histories import UserHistories


@dataclass(frozen=True)
class HistorySplit:
    """Which exposures a recommender is fitted on, validated on and tested on.

    Attributes:
        train: (U,) int64; the first train[u] exposures of user u are fitted on.
        dev: (d,) int64, rows of exposures for validation, ascending.
        test: (t,) int64, rows of exposures for the test, ascending.
    """

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray


def leave_one_out(histories: UserHistories, *, test: bool = True) -> HistorySplit:
    """Hold out each user's last click for the test, and the one before for validation.

    Users with fewer than three clicks are trained on alone. Exposures from the click for validation on are not trained on.

    Args:
        histories: The histories.
        test: False: the last click is for validation, and there is no test.
    """
    train, dev, tested = np.diff(histories.start).astype(np.int64), [], []
    clicks = np.flatnonzero(histories.clicked)
    bounds = np.searchsorted(clicks, histories.start)
    for user in np.flatnonzero(np.diff(bounds) >= 3):
        dev.append(clicks[bounds[user + 1] - 1 - test])
        tested += [clicks[bounds[user + 1] - 1]] * test
        train[user] = dev[-1] - histories.start[user]
    return HistorySplit(train, np.array(dev, np.int64), np.array(tested, np.int64))


def by_share(histories: UserHistories, *, dev: float = 0.1, test: float = 0.1) -> HistorySplit:
    """Hold out the last exposures of each user: a share for the test, and a share before them for validation.

    Args:
        histories: The histories.
        dev: Share of a user's exposures for validation, rounded down.
        test: Share of a user's exposures for the test, rounded down.

    Raises:
        ValueError: A share is negative, or both together are at least 1.
    """
    if min(dev, test) < 0 or dev + test >= 1:
        raise ValueError(f"dev and test must be at least 0 and together below 1, given {dev} and {test}")
    counts = np.diff(histories.start).astype(np.int64)
    tested, validated = (np.floor(counts * share + 1e-9).astype(np.int64) for share in (test, dev))
    train = counts - tested - validated
    place = np.arange(len(histories.item)) - np.repeat(histories.start[:-1], counts)
    ends = [np.repeat(values, counts) for values in (train, train + validated)]
    return HistorySplit(
        train,
        np.flatnonzero((place >= ends[0]) & (place < ends[1])),
        np.flatnonzero(place >= ends[1]),
    )
