"""Exposures in blocks of one user each, so that a user's history is encoded once per block."""

from __future__ import annotations

import numpy as np

from models.recommenders.histories import UserHistories


def exposure_blocks(histories: UserHistories, rows: np.ndarray, size: int) -> np.ndarray:
    """Return exposures in blocks of at most `size` successive ones of the same user.

    Args:
        histories: The histories.
        rows: (n,) rows of exposures, ascending.
        size: c, the largest number of exposures per block.

    Returns:
        (k, c) int64, rows of exposures; -1 at the end of a block with fewer.

    Example:
        >>> histories = UserHistories(
        ...     users=np.array(["a", "b"]),
        ...     items=np.array(["x"]),
        ...     start=np.array([0, 3, 4]),
        ...     item=np.zeros(4, np.int32),
        ...     time=np.array([10, 20, 30, 10]),
        ...     clicked=np.ones(4, bool),
        ... )
        >>> exposure_blocks(histories, np.arange(4), 2).tolist()
        [[0, 1], [2, -1], [3, -1]]
    """
    user = np.searchsorted(histories.start, rows, side="right") - 1
    first = np.flatnonzero(np.diff(user, prepend=-1))  # of each user, among `rows`
    place = np.arange(len(rows)) - np.repeat(first, np.diff(first, append=len(rows)))
    block = np.cumsum(place % size == 0) - 1
    blocks = np.full((block[-1] + 1 if len(rows) else 0, size), -1, np.int64)
    blocks[block, place % size] = rows
    return blocks
