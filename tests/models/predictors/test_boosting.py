"""Boosting reads the table of a window, with numbers and categories that may be unknown, and needs nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from models.metrics import nmse
from models.predictors import Samples, Table
from models.predictors.boosting import Boosting, BoostingWithContent
from tests.models.predictors.synthetic import make_world


def with_table(samples: Samples, seed: int, *, targets: int = 1) -> Samples:
    """A table whose number and category explain the target together, each unknown for some; the second target is rare."""
    rng = np.random.default_rng(seed)
    n = len(samples)
    number, big = rng.normal(size=n), rng.random(n) < 0.5
    target = 4.0 + number + 2.0 * big + 0.1 * rng.normal(size=n)
    kind = np.where(big, "größe", "").astype(object)  # a category may be empty or hold any letters
    columns = np.column_stack([np.where(rng.random(n) < 0.1, np.nan, number), rng.normal(size=n)])
    table = Table(columns, ("number", "noise"), kind[:, None], ("kind",))
    rare = np.where(rng.random(n) < 0.3, -target, np.nan)
    return replace(samples, table=table, target=np.column_stack([target, rare][:targets]))


@pytest.fixture(scope="module")
def world():
    world = make_world(items=160, neighbours=3, circles=12)
    parts = [with_table(part, seed, targets=2) for seed, part in enumerate((world.train, world.dev, world.test))]
    return replace(world, train=parts[0], dev=parts[1], test=parts[2])


@pytest.mark.parametrize("made", [Boosting, BoostingWithContent])
def test_every_target_is_learned_and_a_saved_model_predicts_the_same(world, made, tmp_path):
    model, loaded = made(), made()
    report = model.fit(world.train, world.dev, world.bank, seed=1)
    predicted = model.predict(world.test, world.bank)
    assert report.best_dev_nmse < 0.5 and report.best_epoch > 10
    for column, limit in enumerate((0.3, 0.7)):
        known = ~np.isnan(world.test.target[:, column])
        assert nmse(world.test.target[known, column], predicted[known, column]) < limit
    model.save(tmp_path)
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), predicted)
    again = made()
    again.fit(world.train, world.dev, world.bank, seed=1)
    np.testing.assert_array_equal(again.predict(world.test, world.bank), predicted)


def test_content_is_read_where_only_content_tells(world):
    """Without a column that varies there is no model on the table alone, and the forecast is the mean."""
    original = make_world(items=160, neighbours=3, circles=12)
    silent = [
        replace(part, table=Table(np.ones((len(part), 1)), ("nothing",)))
        for part in (original.train, original.dev, original.test)
    ]
    plain, content = Boosting(), BoostingWithContent()
    for model in (plain, content):
        model.fit(*silent[:2], original.bank)
    mean = plain.predict(silent[2], original.bank)
    np.testing.assert_allclose(mean, silent[0].target.mean())
    assert nmse(silent[2].target[:, 0], content.predict(silent[2], original.bank)[:, 0]) < 0.9


def test_other_columns_than_in_training_are_refused(world):
    model = Boosting()
    model.fit(world.train, world.dev, world.bank)
    other = replace(world.test, table=Table(world.test.table.numeric, ("number", "other")))
    with pytest.raises(ValueError, match=r"columns of the training.*number.*noise.*kind.*given"):
        model.predict(other, world.bank)
    with pytest.raises(ValueError, match=r"needs `samples\.table`"):
        model.predict(replace(world.test, table=None), world.bank)
