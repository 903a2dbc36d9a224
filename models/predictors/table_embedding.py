"""A row of the table of metadata and counts as a sequence: one embedded row per column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import on_device
from models.predictors.standardise import Standardiser
from models.predictors.table import Table


@dataclass(frozen=True)
class TableColumns:
    """Columns of a table, with the categories of the training windows.

    Attributes:
        numeric: Names of the numeric columns.
        categories: Categorical column -> its categories, sorted, without the empty one.
    """

    numeric: tuple[str, ...]
    categories: dict[str, list[str]]

    @classmethod
    def of(cls, table: Table) -> TableColumns:
        """Return the columns of the training windows' table."""
        values = zip(table.categorical_names, table.categorical.T, strict=True)
        return cls(table.numeric_names, {name: sorted(set(column.tolist()) - {""}) for name, column in values})


class TableEmbedding(nn.Module):
    """Rows of width d, one per column: for a number x, x w + b with a vector w and b per column; for a category, its vector.

    An unknown number has a learned vector per column. An unknown category, or one that no training window has, too.
    """

    def __init__(self, columns: TableColumns, width: int) -> None:
        """Build the layer.

        Args:
            columns: The columns.
            width: d.
        """
        super().__init__()
        self.columns = columns
        count = len(columns.numeric)
        self.standardise = Standardiser(count)
        self.slope = nn.Parameter(torch.empty(count, width).uniform_(-1.0, 1.0))
        self.bias = nn.Parameter(torch.empty(count, width).uniform_(-1.0, 1.0))
        self.missing = nn.Parameter(torch.zeros(count, width))
        self.categories = nn.ModuleList(nn.Embedding(1 + len(names), width) for names in columns.categories.values())
        self._codes = [
            {name: code for code, name in enumerate(names, start=1)} for names in columns.categories.values()
        ]

    def fit(self, table: Table) -> None:
        """Fit the scales of the numbers to the training windows."""
        self.standardise.fit(table.numeric)

    def forward(self, table: Table) -> Tensor:
        """Return the rows of n windows, (n, columns, d).

        Raises:
            ValueError: The table has other columns than in training.
        """
        names = (table.numeric_names, table.categorical_names)
        if names != (tuple(self.columns.numeric), tuple(self.columns.categories)):
            raise ValueError(
                f"the table must have the columns of the training, given {', '.join([*names[0], *names[1]])}"
            )
        values = on_device(table.numeric, self.slope.device).to(self.slope.dtype)
        known = ~values.isnan().unsqueeze(-1)  # (n, p, 1)
        values = self.standardise(values).nan_to_num(0.0).unsqueeze(-1)
        parts = [torch.where(known, values * self.slope + self.bias, self.missing)]
        for column, (embedding, codes) in enumerate(zip(self.categories, self._codes, strict=True)):
            index = np.array([codes.get(name, 0) for name in table.categorical[:, column]], np.int64)
            parts.append(embedding(on_device(index, self.slope.device)).unsqueeze(1))
        return torch.cat(parts, 1)
