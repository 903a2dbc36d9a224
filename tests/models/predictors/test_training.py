"""The model learns what there is to learn, the same way every time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import metrics
from models.predictors import M3TRConfig, M3TRPredictor, Samples, TrainingOptions
from models.predictors.prediction import predict
from models.predictors.training_report import TrainingReport
from models.predictors.training_state import TrainingState
from tests.models.predictors.synthetic import make_world

SMALL = M3TRConfig(width=16, hidden=16, neighbours=4)


def fitted(*parts, seed: int = 0, **options) -> tuple[M3TRPredictor, TrainingReport]:
    model = M3TRPredictor(SMALL, TrainingOptions(**options))
    return model, model.fit(*parts, seed=seed)


@pytest.fixture(scope="module")
def world():
    return make_world(items=120, neighbours=4, circles=12)


def test_same_seed_same_bits(world):
    first, second, other = (
        fitted(world.train, world.dev, world.bank, seed=seed, epochs=2, batch_size=32)[0].predict(
            world.test, world.bank
        )
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_learns_more_than_the_mean(world):
    model, report = fitted(world.train, world.dev, world.bank, epochs=25, learning_rate=3e-3)
    assert metrics.nmse(world.test.target[:, 0], model.predict(world.test, world.bank)[:, 0]) < 0.5
    assert report.best_dev_nmse == min(epoch.dev_nmse for epoch in report.epochs)


def alone(samples: Samples) -> Samples:
    """The same items, none of which has a neighbour."""
    found = samples.neighbourhood
    return replace(samples, neighbourhood=replace(found, mask=np.zeros_like(found.mask)))


def test_sets_without_any_neighbour_are_trained_validated_and_predicted(world):
    model, report = fitted(alone(world.train), alone(world.dev), world.bank, epochs=2, batch_size=32)
    assert np.isfinite(report.best_dev_nmse)
    assert np.isfinite(model.predict(alone(world.test), world.bank)).all()


def test_a_minibatch_without_any_neighbour_changes_no_other(world):
    """In predictions of two batches the first has neighbours and the second none."""
    network = fitted(world.train, None, world.bank, epochs=1)[0].network
    found = world.test.neighbourhood
    mask = found.mask.copy()
    mask[6:] = False
    mixed = replace(world.test, neighbourhood=replace(found, mask=mask))
    predicted = predict(network, mixed, world.bank, batch_size=6)
    np.testing.assert_allclose(predicted[:6], predict(network, world.test, world.bank)[:6], rtol=1e-5)
    assert np.isfinite(predicted).all()


def windows(samples: Samples, *, copies: int, share: list[float]) -> Samples:
    """Every item `copies` times, as if it had so many windows."""
    rows = np.tile(np.arange(len(samples)), copies)
    return Samples(
        items=samples.items[rows],
        features=samples.features.take(rows),
        neighbourhood=samples.neighbourhood.take(rows),
        target=samples.target[rows],
        share=np.repeat(share, len(samples)),
    )


def test_an_epoch_shows_every_video_in_one_window_drawn_by_its_share(world):
    samples = windows(world.dev, copies=3, share=[0.5, 0.25, 0.25])
    generator = np.random.default_rng(0)
    drawn = np.stack([samples.one_window_each(generator) for _ in range(2000)])
    assert all(sorted(samples.items[rows]) == sorted(world.dev.items) for rows in drawn[:50])
    often = np.bincount(drawn.ravel() // len(world.dev), minlength=3) / drawn.size
    np.testing.assert_allclose(often, [0.5, 0.25, 0.25], atol=0.01)
    assert not np.array_equal(drawn[0] % len(world.dev), drawn[1] % len(world.dev))  # in another order each time


def test_a_large_pass_is_divided_into_equal_epochs(world):
    """96 videos in epochs of at most 30: four of 24, which together show each video once."""
    state = TrainingState(M3TRPredictor(SMALL).build(world.train), TrainingOptions(), 0)
    passes = []
    for _ in range(2):
        rows = []
        for _ in range(4):
            state.begin_epoch(world.train, 30)
            rows.append(state.rows)
        assert [len(part) for part in rows] == [24, 24, 24, 24]
        passes.append(np.concatenate(rows))
        assert sorted(world.train.items[passes[-1]]) == sorted(world.train.items)
    assert not np.array_equal(*passes)


def test_a_pass_is_one_epoch_while_it_has_at_most_epoch_videos(world):
    videos = len(world.train)
    whole, larger, divided = (
        fitted(world.train, world.dev, world.bank, epochs=2, batch_size=32, epoch_videos=videos + more)[1]
        for more in (0, 1000, -1)
    )
    assert [epoch.loss for epoch in whole.epochs] == [epoch.loss for epoch in larger.epochs]
    assert [epoch.loss for epoch in whole.epochs] != [epoch.loss for epoch in divided.epochs]


def test_windows_weigh_a_video_no_more_than_one_window(world):
    """Twelve videos, half of which have a second window: each counts a twelfth."""
    samples = windows(world.dev, copies=2, share=[0.75, 0.25])
    part = replace(
        samples,
        items=samples.items[:18],
        features=samples.features.take(np.arange(18)),
        neighbourhood=samples.neighbourhood.take(np.arange(18)),
        target=samples.target[:18],
        share=samples.share[:18],
    )
    np.testing.assert_allclose(part.weights, [0.75 / 12] * 6 + [1 / 12] * 6 + [0.25 / 12] * 6)
    with pytest.raises(ValueError, match=r"share of item .* is 0.0, must be above 0"):
        replace(samples, share=np.zeros(24))


def test_equal_windows_give_the_validation_score_of_one(world):
    once, twice = (
        fitted(world.train, dev, world.bank, epochs=1)[1].best_dev_nmse
        for dev in (world.dev, windows(world.dev, copies=2, share=[0.9, 0.1]))
    )
    assert twice == pytest.approx(once, rel=1e-6)
