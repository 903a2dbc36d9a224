"""What a network knows of a post's author and of the time of publication (DSN section 3.6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.earlier_posts import EarlierPosts
from models.predictors.features import on_device
from models.predictors.pooled_content import PooledColumns
from models.predictors.table import Table

STATISTICS = "author_"  # the table's columns that begin so are statistics of the author; see docs/metadata.md
CALENDAR = ((1, 12), (1, 31), (0, 24))  # first value and number of values: month, day of the month, hour
DATES = sum(count for _, count in CALENDAR)


def statistic_names(table: Table | None) -> list[str]:
    """Return the names of a table's columns that are statistics of the author; none without a table."""
    return [] if table is None else [name for name in table.numeric_names if name.startswith(STATISTICS)]


class AuthorFeatures(nn.Module):
    """Vector [id, statistics, publication] of each window's own post.

    - id: an embedding. Row 0 is for authors that no training item has; in training a share of the authors is replaced by
      it, so that it is learned.
    - statistics: see `PooledColumns`.
    - publication: month, day of the month and hour as one-hot vectors, zero where the time is unknown. A month, day or hour
      that no training item has is zero too: its weights were never trained.
    """

    def __init__(
        self,
        authors: Sequence[str],
        statistics: Sequence[str],
        *,
        embedding: int,
        unknown: float,
        calendar: bool,
    ) -> None:
        """Build the layer.

        Args:
            authors: Ids of the training items' authors.
            statistics: Names of the columns that are read.
            embedding: Width of the id's embedding.
            unknown: Share of the authors that are replaced by the unknown one in training.
            calendar: Whether the time of publication is part of the vector.
        """
        super().__init__()
        self.unknown, self.calendar = unknown, calendar
        self.embed = nn.Embedding(1 + len(authors), embedding)
        nn.init.zeros_(self.embed.weight[0])
        self.statistics = PooledColumns(statistics)
        self.width = embedding + self.statistics.width + DATES * calendar
        self._codes = {author: code for code, author in enumerate(authors, start=1)}
        self.register_buffer("trained_dates", torch.ones(DATES * calendar))

    def fit(self, posts: EarlierPosts, table: Table | None) -> None:
        """Fit the scales of the statistics, and which dates occur.

        Args:
            posts: The posts of the training items.
            table: Their table; None if no statistic is read.
        """
        if self.statistics.columns:
            self.statistics.fit(table)
        if self.calendar:
            self.trained_dates.copy_(torch.from_numpy(self._dates(posts).any(0)))

    def forward(self, posts: EarlierPosts, table: Table | None) -> Tensor:
        """Return vectors (b, width).

        Args:
            posts: The posts of b windows.
            table: The table of the same windows; None if no statistic is read.

        Raises:
            ValueError: The table lacks a statistic that the training items had.
        """
        known, device = posts.posts, self.embed.weight.device
        names = [known.authors[author] if author >= 0 else "" for author in known.author[posts.own].tolist()]
        codes = on_device(np.array([self._codes.get(name, 0) for name in names], np.int64), device)
        if self.training:
            codes = codes.masked_fill(torch.rand(len(codes), device=device) < self.unknown, 0)
        parts = [self.embed(codes)]
        if self.statistics.columns:
            parts.append(self.statistics(table).vectors)
        if self.calendar:
            parts.append(on_device(self._dates(posts), device) * self.trained_dates)
        return torch.cat(parts, 1)

    def _dates(self, posts: EarlierPosts) -> np.ndarray:
        """Return the one-hot vectors of month, day and hour side by side, (b, 67) bool; all False if the time is unknown."""
        dates = posts.posts.calendar[posts.own]  # (b, 3)
        parts = [dates[:, [place]] == np.arange(first, first + count) for place, (first, count) in enumerate(CALENDAR)]
        return np.concatenate(parts, 1)
