"""Named columns of observation windows: numbers and categories, as a table of metadata and counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Table:
    """Columns of n observation windows; boosting reads them as they are.

    Attributes:
        numeric: (n, p) float64; NaN where the value is unknown.
        numeric_names: Names of the p columns.
        categorical: (n, q) object array of str; "" where the value is unknown.
        categorical_names: Names of the q columns.

    Raises:
        ValueError: Shapes and names disagree, or a name occurs twice.

    Example:
        >>> table = Table(np.array([[3.0], [np.nan]]), ("duration",), np.array([["en"], [""]], object), ("language",))
        >>> len(table), table.take(np.array([1])).numeric.tolist()
        (2, [[nan]])
    """

    numeric: np.ndarray
    numeric_names: tuple[str, ...]
    categorical: np.ndarray = field(default_factory=lambda: np.empty((0, 0), object))
    categorical_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.categorical_names and not self.categorical.size:
            object.__setattr__(self, "categorical", np.empty((len(self.numeric), 0), object))
        shapes = (self.numeric.shape, self.categorical.shape)
        expected = tuple((len(self.numeric), len(names)) for names in (self.numeric_names, self.categorical_names))
        if shapes != expected:
            raise ValueError(f"numeric and categorical must be (windows, columns) {expected}, given {shapes}")
        names = self.numeric_names + self.categorical_names
        if len(set(names)) < len(names):
            raise ValueError(f"column names must differ, given {names}")

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.numeric)

    def take(self, index: np.ndarray) -> Table:
        """Return a copy of the windows at `index` (integers or a bool mask)."""
        return Table(self.numeric[index], self.numeric_names, self.categorical[index], self.categorical_names)

    def beside(self, other: Table) -> Table:
        """Return the columns of both tables side by side; they must have the same windows."""
        return Table(
            np.concatenate([self.numeric, other.numeric], axis=1),
            self.numeric_names + other.numeric_names,
            np.concatenate([self.categorical, other.categorical], axis=1),
            self.categorical_names + other.categorical_names,
        )
