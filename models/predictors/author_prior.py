"""Prior of a video's latent vector, given its author."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.column_groups import group_of
from models.predictors.pooled_content import PooledColumns
from models.predictors.product_of_experts import divergence, draw, gaussian
from models.predictors.table import Table

COLUMN = "author"  # of the table
EMBEDDING, HIDDEN = 8, 32
STEPS, LEARNING_RATE = 200, 1e-2


class AuthorPrior(nn.Module):
    """Gaussian per author, fitted to the mean popularity of the author's training videos (HMMVED, Xie et al. 2023).

    An encoder of the author's embedding and statistics returns the Gaussian; a linear decoder forecasts the mean popularity
    from a draw of it. A window whose author is unknown, or has no training video, has N(0, I). Authors that the table groups
    as rare are one author here.

    Attributes:
        authors: Authors of the training windows, sorted.
    """

    def __init__(self, authors: Sequence[str], statistics: Sequence[str], *, latent: int, targets: int) -> None:
        """Build the prior.

        Args:
            authors: Authors of the training windows.
            statistics: Names of the table's columns with the authors' statistics; see `statistics_of`.
            latent: Dimensions of the latent space.
            targets: T, the number of targets.
        """
        super().__init__()
        self.authors = list(authors)
        self.statistics = PooledColumns(statistics)
        self.embedding = nn.Embedding(len(self.authors), EMBEDDING)
        self.encode = nn.Sequential(
            nn.Linear(EMBEDDING + self.statistics.width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * latent)
        )
        self.decode = nn.Linear(latent, targets)
        self._codes = {name: code for code, name in enumerate(self.authors)}

    def forward(self, table: Table) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation of v windows, (v, latent) each."""
        codes = torch.from_numpy(self._codes_of(table)).to(self.embedding.weight.device)
        features = self.embedding(codes.clamp(min=0))
        if self.statistics.columns:
            features = torch.cat([features, self.statistics(table).vectors], -1)
        known = (codes >= 0).unsqueeze(-1)
        mean, log_std = gaussian(self.encode(features))
        return mean * known, log_std * known

    def fit(self, table: Table, target: np.ndarray, *, weight: float) -> None:
        """Fit to the training videos, and freeze the result.

        Args:
            table: The table of v windows, one per video.
            target: (v, T) standardised targets, NaN where unknown.
            weight: Weight of the divergence between an author's Gaussian and N(0, I).
        """
        if self.statistics.columns:
            self.statistics.fit(table)
        codes = self._codes_of(table)
        table, target, codes = table.take(codes >= 0), target[codes >= 0], codes[codes >= 0]
        known = ~np.isnan(target)
        # (authors, T): NaN where no video of the author has the target
        total, count = np.zeros((2, len(self.authors), target.shape[1]))
        np.add.at(total, codes, np.where(known, target, 0.0))
        np.add.at(count, codes, known)
        mean = torch.from_numpy(np.divide(total, count, out=np.zeros_like(total), where=count > 0)[codes]).float()
        has_mean = torch.from_numpy(count[codes] > 0)
        optimiser = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)
        for _ in range(STEPS):
            optimiser.zero_grad()
            centre, log_std = self(table)
            zero = torch.zeros_like(centre)
            errors = (self.decode(draw(centre, log_std)) - mean).square()
            loss = errors[has_mean].mean() + weight * divergence(centre, log_std, zero, zero).mean()
            loss.backward()
            optimiser.step()
        self.requires_grad_(False)

    def _codes_of(self, table: Table) -> np.ndarray:
        """Return (v,) the number of each window's author, -1 where it is unknown."""
        if COLUMN not in table.categorical_names:
            raise ValueError(f"the table lacks the column {COLUMN!r}, which the model was trained with")
        names = table.categorical[:, table.categorical_names.index(COLUMN)]
        return np.array([self._codes.get(name, -1) for name in names], np.int64)


def authors_of(table: Table | None) -> list[str]:
    """Return the authors that a table names, sorted; none without a table or without authors."""
    if table is None or COLUMN not in table.categorical_names:
        return []
    return sorted(set(table.categorical[:, table.categorical_names.index(COLUMN)]) - {""})


def statistics_of(columns: Sequence[str]) -> list[str]:
    """Return the columns with statistics of authors, given ones and those computed from their earlier videos."""
    return [name for name in columns if group_of(name) == "user"]
