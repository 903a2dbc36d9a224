"""Metrics against other libraries' formulas, and what they say where they are undefined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.metrics import bootstrap, evaluate, interval, mae, nmse, plcc, src

NUMBERS = st.lists(st.tuples(st.integers(0, 50), st.floats(-10, 60)), min_size=3, max_size=40)


def pair_of(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    target, predicted = np.array(rows, dtype=float).T
    return target, predicted


@given(NUMBERS)
def test_errors_are_their_definitions(rows):
    target, predicted = pair_of(rows)
    assert mae(target, predicted) == pytest.approx(np.mean(np.abs(target - predicted)))
    if np.ptp(target) > 0:
        assert nmse(target, predicted) == pytest.approx(np.mean((target - predicted) ** 2) / target.var())


@given(NUMBERS)
def test_correlations_are_scipys(rows):
    target, predicted = pair_of(rows)
    if np.ptp(target) == 0 or np.ptp(predicted) < 1e-6:
        return
    assert plcc(target, predicted) == pytest.approx(stats.pearsonr(target, predicted).statistic, abs=1e-6)
    assert src(target, predicted) == pytest.approx(stats.spearmanr(target, predicted).statistic, abs=1e-9)


@given(NUMBERS)
def test_nmse_is_at_least_what_the_correlation_leaves(rows):
    target, predicted = pair_of(rows)
    if np.ptp(target) == 0 or np.ptp(predicted) < 1e-6:
        return
    assert nmse(target, predicted) >= 1 - plcc(target, predicted) ** 2 - 1e-9


def test_the_targets_own_mean_scores_one_and_constants_are_undefined():
    target = np.array([1.0, 2.0, 6.0])
    assert nmse(target, np.full(3, target.mean())) == pytest.approx(1.0)
    assert np.isnan(nmse(np.full(3, 0.1), target))
    assert np.isnan(plcc(target, np.full(3, 0.1)))
    assert np.isnan(mae([], []))


def test_a_split_is_scored_on_both_scales():
    table = evaluate([1, 2, 3], [1, 2, 4], count=[1, 3, 7], predicted_count=[1, 3, 15])
    assert table["items"] == 3
    assert table["nMSE"] == pytest.approx(0.5)
    assert table["MAE_count"] == pytest.approx(8 / 3)
    assert table["SRC"] == 1.0


@pytest.mark.parametrize(
    ("predicted", "reason"),
    [([1, 2], "equal lengths"), ([1, 2, np.nan], "row 2"), ([[1, 2, 3]], "one number per item")],
)
def test_what_cannot_be_scored_is_refused(predicted, reason):
    with pytest.raises(ValueError, match=reason):
        evaluate([1, 2, 3], predicted, count=[1, 2, 3], predicted_count=[1, 2, 3])


def test_an_interval_over_seeds_is_students():
    values = [0.2, 0.3, 0.4]
    low, high = stats.t.interval(0.95, 2, loc=0.3, scale=stats.sem(values))
    result = interval(values)
    assert (result.value, result.low, result.high) == pytest.approx((0.3, low, high))
    assert np.isnan(interval([0.2]).low)
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(values, confidence=95)


def test_a_paired_bootstrap_is_sure_of_a_clear_difference_only():
    rng = np.random.default_rng(0)
    target = rng.normal(size=200)
    good, bad = target + 0.1 * rng.normal(size=200), target + 0.6 * rng.normal(size=200)
    clear = bootstrap(target, good, other=bad)
    assert clear.low < clear.value < clear.high < 0
    same = bootstrap(target, good, other=good)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert bootstrap(target, good, seed=1) == bootstrap(target, good, seed=1)
