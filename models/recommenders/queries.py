"""Questions to a recommender: of which user, knowing which part of the history, at which time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommenders.histories import UserHistories


@dataclass(frozen=True)
class Queries:
    """q questions "what does this user click next?"; an answer reads only the named part of the user's history.

    Attributes:
        user: (q,) int64, row of the user.
        seen: (q,) int64, how many of the user's exposures may be read, from the earliest on.
        time: (q,) int64, unix ms at which the question is asked.
    """

    user: np.ndarray
    seen: np.ndarray
    time: np.ndarray

    @classmethod
    def before(cls, histories: UserHistories, exposures: np.ndarray) -> Queries:
        """Return the question that each exposure answers: it knows the user's exposures at strictly earlier times.

        Args:
            histories: The histories.
            exposures: (q,) rows of exposures.

        Example:
            >>> histories = UserHistories(
            ...     users=np.array(["a"]),
            ...     items=np.array(["x", "y"]),
            ...     start=np.array([0, 3]),
            ...     item=np.array([0, 1, 1], np.int32),
            ...     time=np.array([10, 20, 20]),
            ...     clicked=np.ones(3, bool),
            ... )
            >>> Queries.before(histories, np.array([2])).seen.tolist()
            [1]
        """
        exposures = np.asarray(exposures, np.int64)
        user = np.searchsorted(histories.start, exposures, side="right") - 1
        # An exposure's first row of equal time: the last place before it where the user or the time changes.
        new = np.ones(len(histories.time), bool)
        new[1:] = histories.time[1:] != histories.time[:-1]
        new[histories.start[:-1][histories.start[:-1] < len(new)]] = True
        firsts = np.flatnonzero(new)
        first = firsts[np.searchsorted(firsts, exposures, side="right") - 1]
        return cls(user, first - histories.start[user], np.asarray(histories.time[exposures], np.int64))

    def take(self, rows: np.ndarray | slice) -> Queries:
        """Return some of the questions."""
        return Queries(self.user[rows], self.seen[rows], self.time[rows])

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.user)
