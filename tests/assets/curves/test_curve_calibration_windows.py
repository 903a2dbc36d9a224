"""Which windows calibrate curves where windows end at the k-th event."""

import numpy as np
import pytest

from assets.curves.curve_model import cut_like_new_items
from assets.settings import Protocol, Settings
from models.curves import LEVELS
from models.curves.curve_inputs import CurveInputs
from models.predictors.table import Table


def windows(items: int, weights: list[float]) -> CurveInputs:
    """Return one window per item with the same weights at the grid ages, whole windows last."""
    nothing = np.full((items, 1), np.nan)
    return CurveInputs(
        items=np.arange(items).astype(str),
        age=np.ones(items),
        weights=np.tile(weights, (items, 1)),
        table=Table(nothing, ("none",)),
        counted=nothing,
        so_far=nothing,
        known=nothing[..., None],
        neighbours=np.full((items, 1, 1, 2), np.nan),
        simulated=np.full((items, 1, 1, len(LEVELS)), np.nan),
    )


@pytest.mark.parametrize(
    ("first_k", "validation", "expected"),
    [(5, 60, [0.3, 0.0, 0.2]), (5, 49, [0.3, 0.5, 0.2]), (None, 60, [0.3, 0.5, 0.2])],
)
def test_with_first_k_enough_validation_items_alone_calibrate_an_age(first_k, validation, expected):
    settings = Settings(protocol=Protocol(first_k=first_k))
    train, dev = cut_like_new_items(settings, windows(80, [0.3, 0.5, 0.2]), windows(validation, [0.0, 0.6, 0.4]))
    assert (train.weights == expected).all()
    assert (dev.weights == [0.0, 0.6, 0.4]).all()
