"""The clicks of histories as sequences: gathered per question, and cut into windows for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.recommenders.histories import UserHistories


@dataclass(frozen=True)
class ClickSequences:
    """C clicks of U users, each user's contiguous and in the order of time; build it with `of`.

    Attributes:
        item: (C,) int32, row of the clicked item.
        start: (U + 1,) int64; the clicks of user u are start[u] to start[u + 1] - 1.
        clicks_before: (E + 1,) int32 or int64, the number of clicks among the first e exposures of all users.
        first_exposure: (U,) int64, where each user's exposures begin.
    """

    item: np.ndarray
    start: np.ndarray
    clicks_before: np.ndarray
    first_exposure: np.ndarray

    @classmethod
    def of(cls, histories: UserHistories) -> ClickSequences:
        """Return the clicks of histories."""
        before = np.zeros(len(histories.item) + 1, np.int64)
        np.cumsum(histories.clicked, out=before[1:])
        return cls(
            np.asarray(histories.item)[np.asarray(histories.clicked, bool)],
            before[histories.start],
            before,
            np.asarray(histories.start[:-1], np.int64),
        )

    def last(self, user: np.ndarray, seen: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last clicks among the first exposures of users, padded on the left.

        Args:
            user: (q,) rows of users.
            seen: (q,) how many of the user's exposures may be read.
            length: L, the largest number of clicks.

        Returns:
            (q, L) rows of items, 0 where there is none, and their mask.
        """
        end = self.clicks_before[self.first_exposure[user] + seen]
        return self._gather(np.maximum(self.start[user], end - length), end, length)

    def windows(
        self, train: np.ndarray, length: int, *, stride: int, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cut each user's training clicks into windows, so that every click but a user's first is a target once.

        A window has at most `stride` targets. Each target reads more than L - stride clicks, or all clicks before it.

        Args:
            train: (U,) the first train[u] exposures of user u are for training.
            length: L, the largest number of clicks that a target reads.
            stride: The largest number of targets per window, at most L.
            offsets: (U,) from 0 to stride - 1; a user's first window has at most stride - offset targets.

        Returns:
            First click, first target and end (exclusive) of each window, (w,) each. The targets last up to the end, and each
            is read after all clicks of the window before it.
        """
        first = self.start[:-1]
        clicks = self.clicks_before[self.first_exposure + train] - first
        count = np.where(clicks > 1, -(-(clicks - 1 + offsets) // stride), 0)
        user = np.repeat(np.arange(len(first)), count)
        number = np.arange(len(user)) - np.repeat(np.cumsum(count) - count, count)
        cut = 1 - offsets[user] + number * stride
        target, end = np.maximum(cut, 1), np.minimum(cut + stride, clicks[user])
        begin = np.maximum(end - 1 - length, 0)
        return first[user] + begin, first[user] + target, first[user] + end

    def gather(self, begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the clicks begin to end - 1 as (w, longest) rows of items, padded on the left, and their mask."""
        return self._gather(begin, end, int((end - begin).max(initial=1)))

    def _gather(self, begin: np.ndarray, end: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        place = end[:, None] + np.arange(-length, 0)
        mask = place >= begin[:, None]
        items = self.item[np.where(mask, place, 0)] if len(self.item) else np.zeros(place.shape, np.int32)
        return np.where(mask, items, 0), mask
