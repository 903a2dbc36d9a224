"""The latest exposures of a user before a moment: those that were clicked, and those that were shown and skipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.recommenders.histories import UserHistories
from models.recommenders.queries import Queries


class RecentRows(NamedTuple):
    """The latest exposures of q questions, each row ascending in time.

    Attributes:
        rows: (q, L) rows of exposures, 0 where `mask` is False.
        mask: (q, L) bool, True where there is an exposure; padding is at the end.
    """

    rows: np.ndarray
    mask: np.ndarray


class RecentExposures:
    """Finds the latest clicks and skips of users, from positions that are listed once.

    The lists take eight bytes per exposure. The exposures themselves are not read.

    Example:
        >>> histories = UserHistories(
        ...     users=np.array(["a"]),
        ...     items=np.array(["x", "y"]),
        ...     start=np.array([0, 3]),
        ...     item=np.array([0, 1, 1], np.int32),
        ...     time=np.array([10, 20, 30]),
        ...     clicked=np.array([True, False, True]),
        ... )
        >>> recent = RecentExposures(histories)
        >>> recent.latest(Queries.before(histories, np.array([2])), 5, clicked=True).rows.tolist()
        [[0]]
    """

    def __init__(self, histories: UserHistories) -> None:
        """List the positions of clicks and skips."""
        self._start = np.asarray(histories.start)
        clicked = np.asarray(histories.clicked)
        self._places = {True: np.flatnonzero(clicked), False: np.flatnonzero(~clicked)}

    def latest(self, queries: Queries, length: int, *, clicked: bool) -> RecentRows:
        """Return the latest exposures of one kind among the first `queries.seen` of each user.

        Args:
            queries: q questions.
            length: Largest number of exposures per question. L is the longest history found, and at least 1.
            clicked: True for clicks, False for skips.
        """
        places, begin = self._places[clicked], self._start[queries.user]
        first, end = np.searchsorted(places, begin), np.searchsorted(places, begin + queries.seen)
        first = np.maximum(first, end - length)
        position = first[:, None] + np.arange(max(1, (end - first).max(initial=0)))
        mask = position < end[:, None]
        rows = np.zeros(position.shape, np.int64)
        rows[mask] = places[position[mask]]
        return RecentRows(rows, mask)
