"""The trivial predictors against their definitions."""

import numpy as np
import pytest

from models.baselines import LogLinear, NotApplicable, neighbour_mean, training_mean


def test_the_training_mean_is_the_same_for_every_item():
    assert training_mean([1.0, 2.0, 6.0], 2).tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match="one number per item"):
        training_mean([], 2)


def test_neighbours_labels_are_averaged_and_an_item_alone_gets_the_training_mean():
    label = np.array([[1.0, 3.0, 8.0], [4.0, 100.0, 100.0], [9.0, 9.0, 9.0]])
    mask = np.array([[True, True, True], [True, False, False], [False, False, False]])
    assert neighbour_mean(label, mask, [5.0, 7.0]).tolist() == [4.0, 4.0, 6.0]
    assert neighbour_mean(label, mask, [5.0, 7.0], k=2).tolist() == [2.0, 4.0, 6.0]
    with pytest.raises(ValueError, match="at least 1"):
        neighbour_mean(label, mask, [5.0], k=0)


def test_the_line_is_least_squares_on_logarithms():
    rng = np.random.default_rng(0)
    observed = rng.poisson(20, 50)
    count = observed * 3 + rng.poisson(5, 50)
    line = LogLinear.fit(observed, count)
    slope, intercept = np.polyfit(np.log2(1 + observed), np.log2(1 + count), 1)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    assert line.predict([7])[0] == pytest.approx(2 ** (intercept + slope * 3) - 1)
    assert LogLinear(intercept=-5.0, slope=1.0).predict([1]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("observed", "count", "reason"), [([5, 5, 5], [9, 9, 8], "same observed count"), ([5], [9], "two training items")]
)
def test_a_line_that_says_nothing_is_not_applicable(observed, count, reason):
    with pytest.raises(NotApplicable, match=reason):
        LogLinear.fit(observed, count)


def test_counts_below_zero_are_refused():
    with pytest.raises(ValueError, match="row 1 is -1"):
        LogLinear.fit([1, -1], [2, 2])
