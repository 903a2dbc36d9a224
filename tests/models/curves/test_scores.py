import numpy as np
import pytest

from models.curves import LEVELS
from models.curves.scores import coverage, coverage_by_decile, crps, curve_scores, pinball, pit_cells, share_interval


def test_crps_is_the_score_of_a_library_when_the_levels_are_evenly_spaced():
    scoringrules = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(0)
    levels = (np.arange(20) + 0.5) / 20
    quantiles, observed = np.sort(rng.normal(size=(7, 20)), axis=1), rng.normal(size=7)
    assert crps(quantiles, levels, observed) == pytest.approx(scoringrules.crps_quantile(observed, quantiles, levels))


def test_crps_comes_close_to_that_of_the_whole_distribution():
    from scipy.stats import norm

    levels = (np.arange(400) + 0.5) / 400
    quantiles = np.tile(norm.ppf(levels), (3, 1))
    observed = np.array([-1.0, 0.0, 2.0])
    exact = observed * (2 * norm.cdf(observed) - 1) + 2 * norm.pdf(observed) - 1 / np.sqrt(np.pi)
    assert crps(quantiles, levels, observed) == pytest.approx(exact, abs=2e-3)


def test_the_level_is_the_share_of_overshoot_that_pinball_loss_charges():
    assert pinball(np.array([2.0, 2.0]), [0.9, 0.1], np.array(3.0)) == pytest.approx([0.9, 0.1])
    assert pinball(np.array([4.0, 4.0]), [0.9, 0.1], np.array(3.0)) == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("rate", [0.2, 1.0, 30.0])
def test_calibrated_forecasts_of_small_counts_cover_what_they_say(rate):
    """The quantiles of a Poisson count that is spread over its cell; closed intervals of whole counts cover more."""
    from scipy.stats import poisson

    rng = np.random.default_rng(0)
    counts = rng.poisson(rate, size=40_000)
    whole = poisson.ppf(LEVELS, rate)
    below, mass = poisson.cdf(whole - 1, rate), poisson.pmf(whole, rate)
    quantiles = np.tile(whole + (np.array(LEVELS) - below) / mass, (len(counts), 1))
    assert coverage(quantiles[:, 1], quantiles[:, 5], counts).mean() == pytest.approx(0.8, abs=0.01)
    assert pit_cells(quantiles, counts).mean(0) == pytest.approx(np.diff([0, *LEVELS, 1]), abs=0.01)
    closed = (whole[1] <= counts) & (counts <= whole[5])
    assert closed.mean() > 0.82


def test_scores_of_too_wide_intervals_show_it():
    rng = np.random.default_rng(0)
    from scipy.stats import norm

    middle = rng.uniform(3, 9, size=2000)
    counts = np.floor(np.exp2(middle + rng.normal(size=2000)))
    right, wide = (np.exp2(middle[:, None] + scale * norm.ppf(LEVELS)) for scale in (1.0, 2.0))
    scores, worse = curve_scores(right, LEVELS, counts), curve_scores(wide, LEVELS, counts)
    assert scores["coverage_80"] == pytest.approx(0.8, abs=0.03)
    assert worse["coverage_80"] > 0.95
    assert worse["crps"] > scores["crps"]
    assert worse["width_80"] == pytest.approx(2 * scores["width_80"], rel=0.1)
    assert coverage_by_decile(right, LEVELS, counts) == pytest.approx([0.8] * 10, abs=0.08)


def test_the_interval_of_a_share_holds_it():
    low, high = share_interval(0.8, 601)
    assert (low, high) == pytest.approx((0.766, 0.830), abs=1e-3)
