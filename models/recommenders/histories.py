"""Histories of users: items in the order in which each user met them, packed into flat arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class UserHistories:
    """E exposures of U users to N items; each user's exposures are contiguous and ascending in time.

    The arrays may be memory-mapped.

    Attributes:
        users: (U,) ids of the users.
        items: (N,) ids of the items.
        start: (U + 1,) int64; the exposures of user u are start[u] to start[u + 1] - 1.
        item: (E,) int32, row of the item.
        time: (E,) int64, unix milliseconds.
        clicked: (E,) bool, whether the user clicked; all True where only clicks are known.

    Raises:
        ValueError: The shapes do not fit, or a user's exposures are not ascending in time.

    Example:
        >>> import numpy as np
        >>> histories = UserHistories(
        ...     users=np.array(["a", "b"]),
        ...     items=np.array(["x", "y"]),
        ...     start=np.array([0, 2, 3]),
        ...     item=np.array([0, 1, 1], np.int32),
        ...     time=np.array([10, 20, 15]),
        ...     clicked=np.ones(3, bool),
        ... )
        >>> histories.of(0).tolist()
        [0, 1]
    """

    users: np.ndarray
    items: np.ndarray
    start: np.ndarray
    item: np.ndarray
    time: np.ndarray
    clicked: np.ndarray

    def __post_init__(self) -> None:
        """Check the values."""
        if len(self.start) != len(self.users) + 1 or self.start[0] != 0 or self.start[-1] != len(self.item):
            raise ValueError(
                f"start must have {len(self.users) + 1} values from 0 to {len(self.item)}, given {len(self.start)}"
            )
        if not len(self.item) == len(self.time) == len(self.clicked):
            lengths = [len(self.item), len(self.time), len(self.clicked)]
            raise ValueError(f"item, time and clicked must have the same length, given {lengths}")
        fall = np.diff(self.time) < 0
        fall[self.start[1:-1][self.start[1:-1] < len(self.item)] - 1] = False  # from one user to the next
        for place in np.flatnonzero(fall)[:1]:
            user = np.searchsorted(self.start, place, side="right") - 1
            raise ValueError(f"user {self.users[user]}: exposure {place - self.start[user]} is later than the next one")

    def of(self, user: int) -> np.ndarray:
        """Return the rows of the items of one user's exposures, in their order."""
        return self.item[self.start[user] : self.start[user + 1]]

    def only(self, kept: np.ndarray) -> UserHistories:
        """Return the histories with some of the exposures, of the same users and items.

        Args:
            kept: (E,) bool.
        """
        rows = np.flatnonzero(kept)
        start = np.searchsorted(rows, self.start)
        return UserHistories(self.users, self.items, start, self.item[rows], self.time[rows], self.clicked[rows])

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.users)
