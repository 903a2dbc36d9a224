"""Growth of counts as a label: the map there and back, and boosting that learns it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models import targets
from models.predictors import Bank
from models.predictors.boosting import COUNTED, Boosting, BoostingOptions
from models.predictors.growth import count_of, growth_of
from tests.models.predictors.tabular import tabular_world

QUICK = BoostingOptions(trees=60, learning_rate=0.1)


def windows(samples, counted, scale="log2p1"):
    """The samples with another count at the end of each window, and labels that are that count plus the old label's."""
    old = targets.inverse(samples.target, "log2p1")
    return replace(samples, counted=counted, scale=scale, target=targets.forward(counted + old, scale))


@pytest.mark.parametrize("scale", ["log2p1", "log2"])
def test_growth_and_count_are_inverse(scale):
    count, counted = np.array([[7.0, 9.0], [20.0, 3.0]]), np.array([[2.0, 9.0], [np.nan, 1.0]])
    samples = type("Windows", (), {"counted": counted, "scale": scale})
    growth = growth_of(targets.forward(count, scale), samples)
    np.testing.assert_allclose(growth, np.log2(1 + count - np.nan_to_num(counted)))
    np.testing.assert_allclose(targets.inverse(count_of(growth, samples), scale), count)


def test_a_forecast_is_never_below_what_was_counted():
    samples = type("Windows", (), {"counted": np.array([[6.0]]), "scale": "log2p1"})
    assert count_of(np.array([[-3.0]]), samples).tolist() == [[np.log2(7.0)]]


def test_a_label_that_is_not_known_stays_unknown():
    samples = type("Windows", (), {"counted": np.array([[6.0]]), "scale": "log2p1"})
    assert np.isnan(growth_of(np.array([[np.nan]]), samples)).all()


@pytest.fixture(scope="module")
def world():
    """Training and test windows whose label two columns of the table explain."""
    made = tabular_world(items=400)
    parts = (replace(part, target=part.target[:, 1:]) for part in (made.train, made.test))
    return [part.take(np.flatnonzero(~np.isnan(part.target[:, 0]))) for part in parts]


def test_boosting_adds_growth_to_what_was_counted(world):
    """The counts have nothing to do with the growth, so only a model of growth can forecast well."""
    generator = np.random.default_rng(0)
    train, test = (windows(part, np.exp2(generator.uniform(0, 12, part.target.shape))) for part in world)
    errors = {}
    for growth in (True, False):
        model = Boosting(replace(QUICK, growth=growth))
        model.fit(train, None, Bank(train.items, train.features), seed=0)
        errors[growth] = np.mean((model.predict(test, None) - test.target) ** 2) / np.var(test.target)
    assert errors[True] < 0.05 < 0.5 < errors[False]


def test_saved_growth_is_growth_again(world, tmp_path):
    train, test = (windows(part, np.full(part.target.shape, 50.0)) for part in world)
    model, again = Boosting(QUICK), Boosting(QUICK)
    model.fit(train, None, Bank(train.items, train.features), seed=0)
    model.save(tmp_path)
    again.load(tmp_path)
    np.testing.assert_array_equal(again.predict(test, None), model.predict(test, None))
    assert (model.predict(test, None) >= np.log2(51.0)).all()


def test_raw_targets_are_learnt_as_they_are(world):
    train, test = (windows(part, np.full(part.target.shape, 50.0), "raw") for part in world)
    plain, other = Boosting(QUICK), Boosting(replace(QUICK, growth=False))
    for model in (plain, other):
        model.fit(train, None, Bank(train.items, train.features), seed=0)
    np.testing.assert_array_equal(plain.predict(test, None), other.predict(test, None))


def test_shap_values_of_growth_sum_to_the_forecast(world):
    train, test = (windows(part, np.full(part.target.shape, 50.0)) for part in world)
    model = Boosting(QUICK)
    model.fit(train, None, Bank(train.items, train.features), seed=0)
    values, names = model.shap(test)
    np.testing.assert_allclose(values.sum(-1), model.predict(test, None), atol=1e-9)
    assert names[-1] == COUNTED and values.shape[-1] == len(names) + 1
    assert (values[..., -2] > 0).all()  # fifty counted events raise every forecast
    nothing = replace(test, counted=np.zeros_like(test.counted))
    assert (model.shap(nothing)[0][..., -2] == 0).all()
