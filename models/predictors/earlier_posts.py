"""All posts in the order of their publication, and which of them come before each observation window's own post.

A sequence model reads the content of earlier posts: those of anybody (DSN) or those of the same author (DTCN, Multi-view).
Only content is held here, never a label or a count, so nothing that an audience did can reach a forecast this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

HOURS_PER_DAY = 24


@dataclass(frozen=True)
class PublishedPosts:
    """The content of m posts, in the order of their publication; posts of equal time are in the order of the data set.

    Attributes:
        time: (m,) float64, hours from any common origin, ascending; NaN for posts whose time is unknown, which come last.
            Those have no earlier posts and are nobody's earlier post.
        content: Modality ("visual", "text") -> (m, d) float32, the mean of a post's rows; NaN for a post without any.
        calendar: (m, 3) int64: month 1 to 12, day of the month 1 to 31, hour 0 to 23; -1 where the time is unknown.
        author: (m,) int64, place in `authors`; -1 for an unknown author.
        authors: Ids of the authors.
        category: (m, D) int64, place in `categories` from the coarsest level to the finest, counted from 1; 0 where a post
            has no category at that level. D may be 0.
        categories: Per level, the paths up to that level.

    Raises:
        ValueError: The numbers of posts differ, the posts are not in order, or a value of the content is not finite.
    """

    time: np.ndarray
    content: Mapping[str, np.ndarray]
    calendar: np.ndarray
    author: np.ndarray
    authors: tuple[str, ...]
    category: np.ndarray
    categories: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Check the values."""
        parts = {"time": self.time, "calendar": self.calendar, "author": self.author, "category": self.category}
        numbers = {name: len(part) for name, part in (parts | dict(self.content)).items()}
        if len(set(numbers.values())) > 1:
            raise ValueError(f"every part must have the same number of posts, given {numbers}")
        known = self.time[: self.timed]
        if np.isnan(known).any() or (np.diff(known) < 0).any():
            raise ValueError("time must be ascending, with unknown times (NaN) at the end")
        for name, rows in self.content.items():
            broken = ~np.isfinite(rows).all(1) & ~np.isnan(rows).all(1)
            for post in np.flatnonzero(broken)[:1]:
                raise ValueError(f"the {name} content of post {post} is not finite")

    def __len__(self) -> int:
        """Return the number of posts."""
        return len(self.time)

    @cached_property
    def timed(self) -> int:
        """Number of posts whose time is known."""
        return int((~np.isnan(self.time)).sum())

    def previous(self, *, block_hours: int | None = None) -> np.ndarray:
        """Return the row of each post's predecessor by the same author, (m,) int64; -1 for none.

        Args:
            block_hours: If given, only posts of the same part of the day count: 4 divides the day into six parts.
        """
        if block_hours not in self._previous:
            key = self.author
            if block_hours is not None:
                parts = -(-HOURS_PER_DAY // block_hours)
                key = key * parts + self.calendar[:, 2] // block_hours
            usable = np.flatnonzero((self.author >= 0) & (np.arange(len(self)) < self.timed))
            order = usable[np.argsort(key[usable], kind="stable")]
            same = key[order[1:]] == key[order[:-1]]
            before = np.full(len(self), -1, np.int64)
            before[order[1:][same]] = order[:-1][same]
            self._previous[block_hours] = before
        return self._previous[block_hours]

    @cached_property
    def _previous(self) -> dict[int | None, np.ndarray]:
        return {}


@dataclass(frozen=True)
class EarlierPosts:
    """The posts up to and including those of n observation windows.

    A sequence is an array of rows of `posts` with the earliest post first, the window's own post last, and -1 for the places
    after it. So whatever reads a sequence from left to right never sees a later post, and more places change nothing.

    Attributes:
        posts: All posts.
        own: (n,) int64, the row of each window's own post.

    Raises:
        ValueError: A row lies outside the posts.

    Example:
        Two authors, who take turns; the last post of the first author has two earlier ones of its own.

        >>> posts = PublishedPosts(
        ...     time=np.arange(5.0),
        ...     content={"visual": np.zeros((5, 2), np.float32)},
        ...     calendar=np.ones((5, 3), int),
        ...     author=np.array([0, 1, 0, 1, 0]),
        ...     authors=("a", "b"),
        ...     category=np.zeros((5, 0), int),
        ...     categories=(),
        ... )
        >>> earlier = EarlierPosts(posts, np.array([0, 4]))
        >>> earlier.of_anybody(3).tolist(), earlier.of_the_author(4).tolist()
        ([[0, -1, -1], [2, 3, 4]], [[0, -1, -1, -1], [0, 2, 4, -1]])
    """

    posts: PublishedPosts
    own: np.ndarray

    def __post_init__(self) -> None:
        """Check the values."""
        for window in np.flatnonzero((self.own < 0) | (self.own >= len(self.posts)))[:1]:
            raise ValueError(f"window {window} has post {self.own[window]}, but there are {len(self.posts)} posts")

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.own)

    def take(self, index: np.ndarray) -> EarlierPosts:
        """Return the windows at `index` (integers or a bool mask)."""
        return replace(self, own=self.own[index])

    def of_anybody(self, length: int) -> np.ndarray:
        """Return the last posts of any author.

        Args:
            length: l, the number of posts, the window's own included.

        Returns:
            (n, l) int64 rows of `posts`.
        """
        first = np.where(self.own < self.posts.timed, np.maximum(self.own - length + 1, 0), self.own)
        rows = first[:, None] + np.arange(length)
        return np.where(rows <= self.own[:, None], rows, -1)

    def of_the_author(self, length: int, *, block_hours: int | None = None, within_hours: float = np.inf) -> np.ndarray:
        """Return the last posts of the same author.

        Args:
            length: Number of posts, the window's own included.
            block_hours: If given, only posts of the same part of the day count; see `PublishedPosts.previous`.
            within_hours: Posts that are older than this, counted from the window's own post, are left out.

        Returns:
            (n, length) int64 rows of `posts`.
        """
        previous, time = self.posts.previous(block_hours=block_hours), self.posts.time
        latest_first = np.full((len(self), length), -1, np.int64)
        latest_first[:, 0] = self.own
        for place in range(1, length):
            before = latest_first[:, place - 1]
            row = np.where(before >= 0, previous[before], -1)
            latest_first[:, place] = np.where((row >= 0) & (time[self.own] - time[row] <= within_hours), row, -1)
        count = (latest_first >= 0).sum(1, keepdims=True)
        place = count - 1 - np.arange(length)
        return np.where(place >= 0, np.take_along_axis(latest_first, np.maximum(place, 0), axis=1), -1)
