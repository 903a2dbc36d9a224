"""What holds of every predictor that fits one regression per target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.predictor_table import predictor_class
from models.predictors.regression_predictor import RegressionPredictor
from tests.models.predictors.tabular import padded, tabular_world, twice, without

QUICK = {
    "svr": {"penalty": 1.0, "epsilon": 0.1},
    "svr_counts": {"penalty": 1.0, "epsilon": 0.1},
    "mftm": {
        "trees": 20,
        "learning_rate": 0.2,
        "epochs": 8,
        "batch_size": 32,
        "width": 8,
        "tabnet_learning_rate": 0.05,
    },
    "tmall": {"agreement": 1.0, "smoothness": 1.0, "penalty": 1.0, "neighbours": 10},
    "hyfea": {"trees": 30, "learning_rate": 0.3, "depth": 3},
    "hyfea_counts": {"trees": 30, "learning_rate": 0.3, "depth": 3},
}
SEES_COUNTS = {"svr_counts", "hyfea_counts"}


@pytest.fixture(scope="module")
def world():
    return tabular_world()


def made(name: str) -> RegressionPredictor:
    return predictor_class(name).from_settings({"preset": "default", "options": QUICK[name]}, temporal_encoder=None)


@pytest.fixture(scope="module", params=QUICK)
def fitted(request, world):
    model = made(request.param)
    report = model.fit(world.train, world.dev, world.bank, seed=1)
    assert report.best_dev_nmse < 1.2
    return request.param, model


def test_a_saved_model_forecasts_the_same(fitted, world, tmp_path):
    name, model = fitted
    model.save(tmp_path)
    loaded = made(name)
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), model.predict(world.test, world.bank))
    (tmp_path / model.file).write_text('{"format": 99}')
    with pytest.raises(ValueError, match="format 99"):
        made(name).load(tmp_path)


def test_padding_changes_nothing(fitted, world):
    _, model = fitted
    original = model.predict(world.test, world.bank)
    np.testing.assert_array_equal(model.predict(padded(world.test), world.bank), original)


def test_a_video_without_any_modality_or_value_has_a_forecast(fitted, world):
    _, model = fitted
    everything = np.ones(len(world.test), bool)
    bare = without(world.test, visual=everything, acoustic=everything, text=everything)
    nothing = replace(bare.table, numeric=np.full_like(bare.table.numeric, np.nan))
    assert np.isfinite(model.predict(replace(bare, table=nothing), world.bank)).all()


def test_counts_are_read_only_by_the_rows_that_say_so(fitted, world):
    name, model = fitted
    assert model.sees_feedback == (name in SEES_COUNTS)
    first, second = np.split(model.predict(twice(world.test, factor=2.0), world.bank), 2)
    assert np.array_equal(first, second) != model.sees_feedback


def test_without_feedback_a_second_window_per_video_changes_no_fit(fitted, world):
    name, model = fitted
    again = made(name)
    again.fit(twice(world.train, factor=2.0), world.dev, world.bank, seed=1)
    same = np.array_equal(again.predict(world.test, world.bank), model.predict(world.test, world.bank))
    assert same != model.sees_feedback


def test_every_target_is_learned_from_its_known_labels(fitted, world):
    """The second target is unknown for some; it depends on followers and counts, of which content tells nothing."""
    name, model = fitted
    other = made(name)
    noise = np.where(np.isnan(world.train.target), np.nan, world.train.target[::-1])
    second = np.column_stack([world.train.target[:, 0], noise[:, 1]])
    known = ~np.isnan(second).all(1)
    assert known.all()
    other.fit(replace(world.train, target=second), world.dev, world.bank, seed=1)
    before, after = (fit.predict(world.test, world.bank) for fit in (model, other))
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert not np.array_equal(after[:, 1], before[:, 1])
