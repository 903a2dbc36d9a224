"""MFTM: the rows that both parts read, LightGBM as it is, and half of each part."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import torch

from models.metrics import nmse
from models.predictors.flat_rows import FlatRows
from models.predictors.mftm import MFTM, MFTMOptions
from tests.models.predictors.tabular import NUMBERS, tabular_world, without

QUICK = MFTMOptions(trees=40, learning_rate=0.1, epochs=2, batch_size=64, width=8, tabnet_learning_rate=0.03)


@pytest.fixture(scope="module")
def world():
    return first_target(tabular_world(items=240))


def first_target(world):
    return replace(world, **{name: _first(getattr(world, name)) for name in ("train", "dev", "test")})


def _first(samples):
    return replace(samples, target=samples.target[:, :1])


@pytest.fixture(scope="module")
def fitted(world):
    model = MFTM(QUICK)
    model.fit(world.train, None, world.bank, seed=3)
    return model


def test_a_row_is_content_then_numbers_then_codes(world):
    everything = np.ones(len(world.train), bool)
    form = FlatRows.fit(world.train, everything)
    rows, table = form.rows(world.train), world.train.table
    static = [name for name in NUMBERS if name not in ("age_hours", "events", "events_log2")]
    assert rows.shape == (len(world.train), 24 + 16 + 32 + len(static) + 3)
    followers = np.log1p(table.numeric[:, NUMBERS.index("author_followers")])
    expected = np.nan_to_num((followers - np.nanmean(followers)) / np.nanstd(followers))
    np.testing.assert_allclose(rows[:, 72 + static.index("author_followers")], expected, atol=1e-5)
    codes = {name: number for number, name in enumerate(sorted(set(table.categorical[:, 0])), start=1)}
    np.testing.assert_array_equal(rows[:, -3], [codes[name] for name in table.categorical[:, 0]])
    strange = table.categorical.copy()
    strange[:, 0] = "never seen"
    other = replace(world.train, table=replace(table, categorical=strange))
    np.testing.assert_array_equal(form.rows(other)[:, -3], 0.0)
    with pytest.raises(ValueError, match=r"columns of the training.*author_followers.*given \['hour'"):
        form.rows(replace(world.train, table=replace(table, numeric=table.numeric[:, 5:], numeric_names=NUMBERS[5:])))


def test_the_forecast_is_half_of_each_part(world, fitted, tmp_path):
    halves = []
    fitted.save(tmp_path)
    for share in (1.0, 0.0):
        part = MFTM(replace(QUICK, trees_share=share))
        part.load(tmp_path)
        halves.append(part.predict(world.test, world.bank))
    np.testing.assert_allclose(fitted.predict(world.test, world.bank), np.mean(halves, axis=0), rtol=1e-12)
    assert not np.allclose(*halves)


@pytest.mark.parametrize(("leaves", "same"), [(31, True), (4, False)])
def test_the_trees_are_lightgbm_on_these_rows(world, leaves, same):
    model = MFTM(replace(QUICK, trees_share=1.0, epochs=1))
    model.fit(world.train, None, world.bank, seed=3)
    form = FlatRows.fit(world.train, np.ones(len(world.train), bool))
    rows, target = form.rows(world.train), world.train.target[:, 0]
    peer = lightgbm.LGBMRegressor(
        num_leaves=leaves,
        learning_rate=0.1,
        n_estimators=40,
        random_state=3,
        verbosity=-1,
        n_jobs=1,
        force_col_wise=True,
    )
    peer.fit(
        rows, (target - target.mean()) / target.std(), categorical_feature=list(range(rows.shape[1] - 3, rows.shape[1]))
    )
    expected = peer.predict(form.rows(world.test)) * target.std() + target.mean()
    assert np.allclose(model.predict(world.test, world.bank)[:, 0], expected, atol=1e-6) == same


@pytest.mark.slow
def test_content_is_found_by_both_parts_and_without_it_neither_finds_it(world):
    """New videos would need a larger set than a test has time for, so the training videos show what was found."""
    model = MFTM(replace(QUICK, epochs=35, batch_size=32))
    model.fit(world.train, None, world.bank, seed=3)
    known, everything = world.train, np.ones(len(world.train), bool)
    silent = without(known, visual=everything, acoustic=everything, text=everything)
    for share in (1.0, 0.0):
        model.options = replace(model.options, trees_share=share)
        with_content, blind = (nmse(known.target[:, 0], model.predict(s, world.bank)[:, 0]) for s in (known, silent))
        assert with_content < 0.9 < 0.95 < blind


def test_the_callers_random_state_does_not_change(world):
    before = torch.random.get_rng_state()
    MFTM(replace(QUICK, epochs=1, trees=2)).fit(world.train, world.dev, world.bank, seed=9)
    assert torch.equal(torch.random.get_rng_state(), before)
