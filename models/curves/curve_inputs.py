"""What the curve model reads of observation windows."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from models.predictors.table import Table


@dataclass(frozen=True)
class CurveInputs:
    """n observation windows, T targets and H horizons.

    Attributes:
        items: (n,) id of each window's video.
        age: (n,) hours since t = 0 at the end of each window.
        weights: (n, G) weight of each window at the ages at which curves are calibrated; rows sum to 1.
        table: Metadata, counts and content known at the end of each window.
        counted: (n, T) count at the end of each window; NaN where unknown.
        so_far: (n, T) count that is known now, which may include feedback after the window; NaN where unknown.
        known: (n, T, H) counts at horizons that have passed; NaN at later ones.
        neighbours: (n, T, H, 2) mean and standard deviation of log2(1 + count) over the retrieved videos at each horizon; NaN
            where no count may be seen.
        simulated: (n, T, H, Q) quantiles of the number of new events in simulated continuations; NaN where there is no process.
    """

    items: np.ndarray
    age: np.ndarray
    weights: np.ndarray
    table: Table
    counted: np.ndarray
    so_far: np.ndarray
    known: np.ndarray
    neighbours: np.ndarray
    simulated: np.ndarray

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.items)

    def take(self, index: np.ndarray) -> CurveInputs:
        """Return the windows at `index` (integers or a bool mask)."""
        parts = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "table"}
        return CurveInputs(table=self.table.take(index), **{name: part[index] for name, part in parts.items()})

    @property
    def floor(self) -> np.ndarray:
        """(n, T) count at the end of each window; 0 where it is unknown."""
        return np.nan_to_num(self.counted)
