"""The model learns what there is to learn, the same way every time."""

from __future__ import annotations

import numpy as np
import pytest

from models import metrics
from models.predictors import M3TRConfig, TrainingOptions, predict, train
from tests.models.predictors.synthetic import make_world

SMALL = M3TRConfig(width=16, hidden=16, neighbours=4)


@pytest.fixture(scope="module")
def world():
    return make_world(items=120, neighbours=4, circles=12)


def test_same_seed_same_bits(world):
    options = TrainingOptions(epochs=2, batch_size=32)
    first, second, other = (
        predict(
            train(world.train, world.dev, world.bank, config=SMALL, options=options, seed=s)[0], world.test, world.bank
        )
        for s in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_learns_more_than_the_mean(world):
    options = TrainingOptions(epochs=25, learning_rate=3e-3)
    model, report = train(world.train, world.dev, world.bank, config=SMALL, options=options)
    assert metrics.nmse(world.test.target, predict(model, world.test, world.bank)) < 0.5
    assert report.best_dev_nmse == min(epoch.dev_nmse for epoch in report.epochs)
