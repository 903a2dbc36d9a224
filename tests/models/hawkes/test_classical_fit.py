"""The classical fit ends at the maximum, under its bounds, by either method."""

import math

import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, classical_fit, fit
from models.hawkes.fit import evaluate
from models.hawkes.scoring import Likelihood
from models.hawkes.stability import spectral_radius_slope
from models.thinning import simulate
from tests.models.hawkes.test_hawkes_fit import empty, truth


@pytest.mark.parametrize("seed", range(4))
def test_with_rates_of_their_own_it_is_never_below_the_truth(seed):
    """Rates two decades apart: a start far from one of them ended, without a word, with an influence of 4.57 for .249."""
    g = torch.Generator().manual_seed(seed)
    process = truth(3, density=0.6, seed=seed)
    own = ExponentialHawkes(3).requires_grad_(False)
    own.baseline.copy_(process.baseline)
    own.excitation.branching.copy_(process.excitation.branching)
    own.excitation.log_rate.copy_(math.log(100) * torch.rand(3, 3, 1, generator=g, dtype=torch.float64) - 1.5)
    data = simulate(own, empty(150), until=60.0, seeds=range(150))
    fitted = ExponentialHawkes(3)
    fit(fitted, data, data)
    assert evaluate(fitted, data) > evaluate(own, data)
    strong = own.branching_matrix() > 0.1
    torch.testing.assert_close(fitted.branching_matrix()[strong], own.branching_matrix()[strong], rtol=0.3, atol=0.08)


def test_the_rates_stay_within_what_the_data_can_tell():
    """Ages far apart in one set: no kernel longer than the longest window, none that has ended before the shortest gap."""
    data = simulate(truth(2, density=1.0), empty(40), until=30.0, seeds=range(40))
    fitted = ExponentialHawkes(2, decays=3)
    fit(fitted, data, data)
    rate = fitted.excitation.rate.detach()
    gaps = data.gaps[data.mask]
    assert float(rate.min()) >= 1 / 30.0 * (1 - 1e-9) and float(rate.max()) <= 4 / float(gaps[gaps > 0].min())


@pytest.fixture(scope="module")
def explosive():
    """Ever more events: unbounded, the fit's branching ratio is above 1."""
    times = [[10 * math.log(1 + i / 3) + 0.01 * row for i in range(60)] for row in range(3)]
    return EventBatch.from_sequences(times, [[i % 2 for i in range(60)]] * 3)


@pytest.mark.parametrize("shared", [True, False])
def test_max_branching_holds_for_the_classical_process_too(explosive, shared):
    free, bounded = (ExponentialHawkes(2, shared=shared) for _ in range(2))
    assert fit(free, explosive, explosive, max_branching=None).branching_ratio > 1
    with pytest.warns(UserWarning, match="max_branching"):
        report = fit(bounded, explosive, explosive, max_branching=0.9)
    assert 0.8 < report.branching_ratio <= 0.9 + 1e-12
    simulate(bounded, explosive, until=40.0, seeds=range(3), max_events=10**6)
    # scaling the unbounded maximum down does not do as well
    assert report.best.train > evaluate(free.project_(max_branching=0.9), explosive)


def test_the_radius_and_its_slope():
    matrix = torch.rand(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
    radius, slope = spectral_radius_slope(matrix)
    for place in ((0, 0), (1, 3), (3, 2)):
        moved = matrix.copy()
        moved[place] += 1e-6
        assert slope[place] == pytest.approx((spectral_radius_slope(moved)[0] - radius) / 1e-6, rel=1e-4)
    reducible = torch.tensor([[0.5, 0.0], [3.0, 0.2]], dtype=torch.float64).numpy()
    assert spectral_radius_slope(reducible)[0] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("shared", [True, False])
def test_without_a_hessian_it_finds_the_same_maximum(monkeypatch, shared):
    """Where there are too many types for one."""
    data = simulate(truth(3, density=0.6, seed=1, rate=2.0), empty(60), until=25.0, seeds=range(60))
    with_hessian, without = (ExponentialHawkes(3, shared=shared) for _ in range(2))
    fit(with_hessian, data, data)
    monkeypatch.setattr(classical_fit, "LARGEST_HESSIAN", 0)
    fit(without, data, data)
    assert evaluate(without, data) == pytest.approx(evaluate(with_hessian, data), abs=1e-3)


@pytest.mark.parametrize("shared", [True, False])
def test_a_fit_takes_few_passes(shared):
    """A quasi-Newton method took hundreds, each as long as one of these."""
    data = simulate(truth(4, density=0.4, seed=2), empty(200), until=20.0, seeds=range(200))
    report = fit(ExponentialHawkes(4, shared=shared), data, data)
    assert len(report.curve) < 70


def test_shared_rates_are_fitted_without_long_runs_of_rejected_steps():
    """Steps overshoot where intensities are near zero: the damping must be found again in a few tries, not in ten."""
    process = ExponentialHawkes(6, decays=2, shared=True).requires_grad_(False)
    branching = torch.rand(6, 6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    process.excitation.branching.copy_(branching)
    process.excitation.branching.mul_(0.7 / process.branching_ratio())
    process.baseline.copy_(torch.linspace(0.05, 0.4, 6))
    process.excitation.log_rate.copy_(torch.tensor([8.0, 0.3]).log().view_as(process.excitation.log_rate))
    data = simulate(process, empty(60), length=60, seeds=range(60))
    fitted = ExponentialHawkes(6, decays=6, shared=True)
    report = fit(fitted, data, data[torch.arange(20)])
    assert len(report.curve) < 60  # 45; rejected steps made it 73
    assert report.best.train > evaluate(process, data)


def test_the_search_for_the_bound_heeds_the_time_and_keeps_the_bound(explosive, monkeypatch):
    """After the first pass the time is up: no pass over the events follows, apart from those that score the result."""
    passes = []
    evaluate_once = Likelihood.evaluate

    def counted(likelihood, *arguments):
        passes.append(arguments)
        return evaluate_once(likelihood, *arguments)

    monkeypatch.setattr(Likelihood, "evaluate", counted)
    with pytest.warns(UserWarning, match="has not converged"):
        report = fit(ExponentialHawkes(2), explosive, explosive, max_branching=0.5, max_seconds=1e-9)
    assert len(passes) <= 6
    assert report.branching_ratio <= 0.5 + 1e-12
