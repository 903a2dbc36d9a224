"""Forecasts of one row of the tables of results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Forecast:
    """Forecasts of n windows by one predictor.

    Attributes:
        row: Name of the predictor's row in tables of results.
        seed: The model's seed; None for a row without seeds.
        values: (n, T) float64 on the scale of the targets; NaN where the row does not apply.
    """

    row: str
    seed: int | None
    values: np.ndarray
