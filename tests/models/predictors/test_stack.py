"""The stack finds the members that help, and keeps its prior where the evidence is weak."""

import numpy as np
import pytest

from models.predictors.stack import fit_stack

PRIOR = np.array([1.0, 0.0, 0.0])


def members(count: int, *, seed: int, noise: tuple[float, ...] = (0.5, 0.5, 2.0)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=count)
    return np.stack([target + deviation * rng.normal(size=count) for deviation in noise], -1)[None], target


def test_two_equally_good_members_share_the_weight_and_the_bad_one_has_little():
    forecasts, target = members(2000, seed=0)
    stack = fit_stack(forecasts, target, np.arange(2000), prior=PRIOR)
    np.testing.assert_allclose(stack.weights, [0.5, 0.5, 0.03], atol=0.06)
    assert stack.trust > 0.9
    assert stack.weights.sum() == pytest.approx(1.0) and stack.weights.min() >= 0


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_items_leave_the_prior(count):
    forecasts, target = members(count, seed=1)
    stack = fit_stack(forecasts, target, np.arange(count), prior=PRIOR)
    assert stack.weights.tolist() == PRIOR.tolist() and stack.trust == 0.0


def test_with_few_items_the_stack_is_on_average_hardly_worse_than_a_good_prior():
    """The prior is the best member; twelve items must not talk the stack out of it."""
    test, aim = members(20_000, seed=99, noise=(0.5, 1.0, 1.5))
    errors = []
    for seed in range(60):
        forecasts, target = members(12, seed=seed, noise=(0.5, 1.0, 1.5))
        weights = fit_stack(forecasts, target, np.arange(12), prior=PRIOR).weights
        errors.append(np.mean((test[0] @ weights - aim) ** 2))
    assert np.mean(errors) < 1.05 * 0.25


def test_validated_forecasts_do_not_know_their_own_item():
    """Each of many members has one item by heart, which a fit on that item would reward."""
    count = 40
    target = np.random.default_rng(3).normal(size=count)
    forecasts = np.zeros((count, count))
    forecasts[np.arange(count), np.arange(count)] = target
    stack = fit_stack(forecasts[None], target, np.arange(count), prior=np.full(count, 1.0 / count))
    by_heart = np.mean((forecasts @ stack.weights - target) ** 2)
    assert np.mean((stack.validated[0] - target) ** 2) >= by_heart


def test_the_scale_of_the_target_does_not_matter():
    forecasts, target = members(300, seed=4)
    small, large = (fit_stack(k * forecasts, k * target, np.arange(300), prior=PRIOR).weights for k in (1.0, 1e6))
    np.testing.assert_allclose(small, large, atol=1e-6)
