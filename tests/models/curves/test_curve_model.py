"""The whole curve model on videos whose growth follows a column of the table, a process, and noise."""

from dataclasses import replace

import numpy as np
import pytest

from models.curves import LEVELS, growth_regression
from models.curves.curve_inputs import CurveInputs
from models.curves.curve_model import ENOUGH, CurveModel
from models.curves.scores import coverage, curve_scores
from models.predictors.table import Table

HORIZONS = np.array([1.0, 6.0, 48.0, 720.0])


def made(rng, items, prefix, *, signal=True, informed=False):
    """Return windows of items at 1 h and 24 h, and their counts; 720 h is known of 30 items."""
    appeal = rng.normal(size=items)
    log_final = 5 + 1.5 * appeal + 0.7 * rng.normal(size=items)
    parts = np.tile([0.1, 0.3, 0.7, 1.0], (items, 1))
    parts[:, 0] *= np.exp2(-np.abs(2.0 * rng.normal(size=items)))  # the first hour says little
    counts = np.floor(np.exp2(log_final)[:, None] * parts)  # (items, H)
    age = np.tile([1.0, 24.0], items)
    item = np.repeat(np.arange(items), 2)
    counted = np.floor(np.where(age == 1.0, counts[item, 0], 0.5 * np.exp2(log_final)[item]))
    known = np.where(age[:, None] >= HORIZONS, counts[item], np.nan)
    simulated = np.full((len(item), 1, 4, len(LEVELS)), np.nan)
    if informed:  # continuations that know the truth up to a factor
        growth = np.maximum(counts[item] - counted[:, None], 0.0)
        simulated[:, 0] = growth[..., None] * np.linspace(0.9, 1.1, len(LEVELS))
    inputs = CurveInputs(
        items=np.array([f"{prefix}{number:04d}" for number in item]),
        age=age,
        weights=np.stack([age == 1.0, age == 24.0], axis=1).astype(float),
        table=Table((appeal[item] if signal else rng.normal(size=len(item)))[:, None], ("appeal",)),
        counted=counted[:, None],
        so_far=counted[:, None],
        known=known[:, None],
        neighbours=np.full((len(item), 1, 4, 2), np.nan),
        simulated=simulated,
    )
    truth = counts[item].copy()
    labels = truth.copy()
    labels[item >= 30, 3] = np.nan
    return inputs, labels[:, None], truth


def fitted(rng, **kind):
    train, train_counts, _ = made(rng, 160, "a", **kind)
    dev, dev_counts, _ = made(rng, 60, "b", **kind)
    return CurveModel.fit(
        train, dev, train_counts, dev_counts, horizons=HORIZONS, shares=np.full(len(train), 0.5), seed=0
    )


@pytest.fixture(scope="module", autouse=True)
def fewer_trees():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth_regression, "TREES", 80)
        patch.setattr(growth_regression, "RATE", 0.15)
        yield


@pytest.fixture(scope="module")
def model():
    return fitted(np.random.default_rng(0))


@pytest.fixture(scope="module")
def tested():
    return made(np.random.default_rng(1), 600, "c")


def test_intervals_cover_what_they_say(model, tested):
    inputs, _, truth = tested
    values = model.predict(inputs).counts[:, 0]
    for horizon in (1, 2):
        for age in (1.0, 24.0):
            rows = (inputs.age == age) & (HORIZONS[horizon] > age)
            if rows.any():
                covered = coverage(values[rows, horizon, 1], values[rows, horizon, 5], truth[rows, horizon])
                assert covered.mean() == pytest.approx(0.8, abs=0.1)


def test_curves_rise_from_what_was_counted_and_hold_what_is_known(model, tested):
    inputs, _, truth = tested
    curves = model.predict(inputs)
    later = inputs.age[:, None] < HORIZONS
    values = curves.counts[:, 0]
    assert (values[later[:, :3].nonzero()] >= inputs.counted[later[:, :3].nonzero()[0]]).all()
    passed = np.nonzero(~later)
    assert (values[passed] == truth[passed][:, None]).all()


def test_a_planted_signal_is_found(model, tested):
    rng = np.random.default_rng(0)
    blind = fitted(rng, signal=False)
    inputs, _, truth = tested
    rows = inputs.age == 1.0
    scores = [
        curve_scores(some.predict(inputs).counts[rows, 0, 2], LEVELS, truth[rows, 2])["crps"] for some in (model, blind)
    ]
    assert scores[0] < 0.9 * scores[1]


def test_a_process_that_knows_the_future_is_chosen(tested):
    informed = fitted(np.random.default_rng(0), informed=True)
    inputs, _, truth = made(np.random.default_rng(1), 200, "c", informed=True)
    values = informed.predict(inputs).counts[:, 0, 2]
    assert curve_scores(values, LEVELS, truth[:, 2])["crps"] < 0.15
    assert "process" in informed.sources[0, 2]


def test_a_horizon_that_few_items_reached_rests_on_the_process_alone(model, tested):
    assert model.followed[0].tolist() == [0, 160, 160, 30]
    assert model.followed[0, 3] < ENOUGH
    assert model.calibrated[0].tolist() == [False, True, True, False]
    inputs, _, _ = tested
    assert np.isnan(model.predict(inputs).counts[:, 0, 3]).all()
    simulated = inputs.simulated.copy()
    simulated[:, 0, 3] = 1e6 + np.arange(len(LEVELS))
    values = model.predict(replace(inputs, simulated=simulated)).counts[:, 0, 3]
    assert values == pytest.approx(inputs.counted + simulated[:, 0, 3])


def test_feedback_after_the_window_moves_the_curve_instead_of_cutting_it(model, tested):
    inputs = tested[0].take(np.flatnonzero(tested[0].age == 1.0)[:50])
    before = model.predict(inputs).counts[:, 0, 2]
    after = model.predict(replace(inputs, so_far=before[:, None, 3])).counts[:, 0, 2]
    assert (after >= before[:, 3:4]).all()
    assert after[:, 3] == pytest.approx(before[:, 4])  # above the median, the median is the third quartile
    beyond = model.predict(replace(inputs, so_far=before[:, None, 6] + 5)).counts[:, 0, 2]
    assert beyond == pytest.approx(np.repeat(before[:, 6:] + 5, len(LEVELS), axis=1))


def test_save_and_load_give_the_same_curves(model, tested, tmp_path):
    model.save(tmp_path)
    again = CurveModel.load(tmp_path)
    part = tested[0].take(np.arange(40))
    assert np.array_equal(again.predict(part).counts, model.predict(part).counts, equal_nan=True)
    assert again.sources.tolist() == model.sources.tolist()


def test_a_window_has_the_same_curve_alone_and_among_others(model, tested):
    inputs, _, _ = tested
    together = model.predict(inputs).counts[7]
    assert model.predict(inputs.take(np.array([7]))).counts[0] == pytest.approx(together, nan_ok=True)
