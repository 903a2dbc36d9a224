"""Tests of drift: what is planted is found, and nothing else is, at the stated rate."""

import numpy as np
import pytest

from models.drift_tests import COMPONENTS, alarms, compare_shares, compare_values, compare_vectors, level


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_a_moved_mean_a_wider_spread_and_a_lost_modality_are_found():
    earlier = normal(0, 400)
    moved, wider = (
        compare_values("label", earlier, normal(1, 200) + 0.6),
        compare_values("label", earlier, 3 * normal(1, 200)),
    )
    limit = level(50, false_alarms=1.0)
    assert moved.p_value < limit and moved.shift == pytest.approx(0.6, abs=0.15) and moved.distance > 0.2
    assert wider.p_value < limit and abs(wider.shift) < 0.2
    lost = compare_shares("acoustic", np.ones(400, bool), np.arange(200) % 10 > 0, part="has it")
    assert lost.p_value < limit and lost.distance == pytest.approx(0.1)


def test_videos_of_a_new_kind_lie_outside_the_directions_of_the_earlier_ones():
    earlier, newest = normal(0, 400, 40), normal(1, 200, 40)
    earlier[:, 20:] = newest[:, 20:] = 0.0
    newest[::2, 30] = 5.0
    found = alarms(compare_vectors("visual", earlier, newest), false_alarms=1.0)
    assert [test.part for test in found] == ["outside"]


@pytest.mark.parametrize("width", [3, 40, 600])
def test_without_a_change_there_is_no_alarm_also_with_more_dimensions_than_videos(width):
    for seed in range(5):
        tests = compare_vectors("visual", normal(seed, 200, width), normal(100 + seed, 100, width))
        assert len(tests) == min(COMPONENTS, width) + 1
        assert alarms(tests, false_alarms=1.0) == []


def test_directions_fitted_to_the_compared_videos_would_raise_alarms():
    """The reason why half of the earlier videos are only used to find the directions."""
    earlier, newest = normal(0, 200, 600), normal(1, 100, 600)
    fitted = np.linalg.svd(earlier - earlier.mean(axis=0), full_matrices=False)[2][:COMPONENTS]
    outside = [np.linalg.norm(side - side @ fitted.T @ fitted, axis=1) for side in (earlier, newest)]
    assert compare_values("visual", *outside).p_value < level(9, false_alarms=1.0)


def test_p_values_of_equal_distributions_are_not_too_small():
    """Also of counts, where ties abound."""
    random = np.random.default_rng(0)
    values = [random.poisson(2.0, 150) for _ in range(400)]
    small = [compare_values("events", *values[pair : pair + 2]).p_value < 0.05 for pair in range(0, 400, 2)]
    assert np.mean(small) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
