"""One flat row of numbers per video: mean content rows, numbers of the table, and codes of its categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from models.predictors.column_groups import Group, columns_of
from models.predictors.content_components import content_rows
from models.predictors.row_scaler import RowScaler, compress
from models.predictors.samples import Samples
from models.predictors.table import Table

STATIC: tuple[Group, ...] = tuple(group for group in get_args(Group) if group != "counts")


@dataclass(frozen=True)
class FlatRows:
    """Form of the rows, fitted to the training videos; counts of the window are left out.

    Attributes:
        scaler: Scale of the numbers.
        numeric_names: Names of the table's numbers.
        vocabularies: Category -> its values in the training videos. The code of a value is its place from 1; 0 is unknown.
    """

    scaler: RowScaler
    numeric_names: tuple[str, ...]
    vocabularies: dict[str, list[str]]

    @classmethod
    def fit(cls, samples: Samples, windows: np.ndarray) -> FlatRows:
        """Fit to the windows (n,) bool of training samples."""
        table = _static(samples)
        names = zip(table.categorical_names, table.categorical[windows].T, strict=True)
        vocabularies = {name: sorted({str(value) for value in values} - {""}) for name, values in names}
        return cls(RowScaler.fit(_numbers(samples, table)[windows]), table.numeric_names, vocabularies)

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each category."""
        return [len(values) + 1 for values in self.vocabularies.values()]

    def rows(self, samples: Samples) -> np.ndarray:
        """Return rows (n, d) float32: standardised numbers, 0 where unknown, then the codes of the categories.

        Raises:
            ValueError: The samples have no table, or one with other columns than in training.
        """
        table = _static(samples)
        if (table.numeric_names, table.categorical_names) != (self.numeric_names, tuple(self.vocabularies)):
            raise ValueError(
                f"the table must have the columns of the training, {[*self.numeric_names, *self.vocabularies]}, given "
                f"{[*table.numeric_names, *table.categorical_names]}"
            )
        codes = np.zeros((len(samples), len(self.vocabularies)))
        for place, values in enumerate(self.vocabularies.values()):
            code = {value: number for number, value in enumerate(values, start=1)}
            codes[:, place] = [code.get(str(value), 0) for value in table.categorical[:, place]]
        return np.column_stack([self.scaler.transform(_numbers(samples, table)), codes]).astype(np.float32)


def _static(samples: Samples) -> Table:
    if samples.table is None:
        raise ValueError("the predictor needs `samples.table`, given None")
    return columns_of(samples.table, STATIC)


def _numbers(samples: Samples, table: Table) -> np.ndarray:
    return np.column_stack([content_rows(samples.items, samples.features), compress(table.numeric)])
