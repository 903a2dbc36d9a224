"""TMALL as a predictor: what it learns from each modality, what it chooses, and on what a forecast depends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.metrics import nmse
from models.predictors.tmall import TMALL, TMALLOptions
from tests.models.predictors.tabular import tabular_world, without

FIXED = TMALLOptions(agreement=1.0, smoothness=1.0, penalty=1.0, neighbours=10)


@pytest.fixture(scope="module")
def world():
    return tabular_world(items=240)


def score(model: TMALL, world, column: int) -> float:
    known = ~np.isnan(world.test.target[:, column])
    return nmse(world.test.target[known, column], model.predict(world.test, world.bank)[known, column])


def test_content_and_authors_are_found(world):
    model = TMALL(FIXED)
    model.fit(world.train, world.dev, world.bank)
    first, second = score(model, world, 0), score(model, world, 1)
    assert first < 0.9 and second < 0.97
    everything = np.ones(len(world.test), bool)
    silent = without(world.test, visual=everything, acoustic=everything, text=everything)
    assert score(model, replace(world, test=silent), 0) > 0.98 > first
    unknown = replace(world.test.table, numeric=np.full_like(world.test.table.numeric, np.nan))
    assert score(model, replace(world, test=replace(world.test, table=unknown)), 1) > second


def test_the_weights_of_the_objective_are_the_best_on_validation_items(world):
    chosen, errors = TMALL(TMALLOptions(agreement=1.0, penalty=1.0, neighbours=10)), []
    for smoothness in (0.1, 1.0, 10.0):
        fixed = TMALL(replace(FIXED, smoothness=smoothness))
        fixed.fit(world.train, world.dev, world.bank)
        errors.append(np.nanmean((fixed.predict(world.dev, world.bank) - world.dev.target) ** 2, axis=0))
    chosen.fit(world.train, world.dev, world.bank)
    found = np.nanmean((chosen.predict(world.dev, world.bank) - world.dev.target) ** 2, axis=0)
    np.testing.assert_allclose(found, np.min(errors, axis=0))
    assert (np.ptp(errors, axis=0) > 1e-3).all()


def test_a_forecast_depends_on_the_company_and_not_on_its_labels(world):
    model = TMALL(FIXED)
    model.fit(world.train, None, world.bank)
    together = model.predict(world.test, world.bank)
    alone = replace(
        world.test,
        items=world.test.items[:1],
        features=world.test.features.take(np.array([0])),
        neighbourhood=world.test.neighbourhood.take(np.array([0])),
        target=world.test.target[:1],
        table=world.test.table.take(np.array([0])),
    )
    assert not np.array_equal(model.predict(alone, world.bank), together[:1])
    other = replace(world.test, target=world.test.target[::-1])
    np.testing.assert_array_equal(model.predict(other, world.bank), together)


def test_wrong_options_are_refused_with_their_range():
    for given, told in (({"smoothness": 0.0}, "above 0"), ({"neighbours": 0}, "at least 1")):
        with pytest.raises(ValueError, match=told):
            TMALL.check_options(given)
