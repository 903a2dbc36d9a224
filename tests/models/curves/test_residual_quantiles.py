import numpy as np
import pytest

from models.curves.residual_quantiles import residual_quantiles


def test_coverage_of_new_items_is_exact_however_few_residuals_there_are():
    """Of 19 residuals the 2nd and the 18th are the ends of an 80 % interval: 16 / 20 in expectation."""
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(4000):
        residuals = rng.exponential(size=19)
        low, high = residual_quantiles(residuals, np.zeros(19), np.ones(19), at=np.zeros(1), levels=[0.1, 0.9])[0]
        covered.append(low <= rng.exponential() <= high)
    assert np.mean(covered) == pytest.approx(0.8, abs=0.02)


def test_residuals_of_similar_forecasts_count_more():
    rng = np.random.default_rng(0)
    forecasts = rng.uniform(0, 10, size=3000)
    residuals = rng.normal(size=3000) * np.where(forecasts < 5, 0.2, 2.0)
    low, high = residual_quantiles(residuals, forecasts, np.ones(3000), at=np.array([1.0, 9.0]), levels=[0.1, 0.9]).T
    assert high[1] - low[1] > 2.5 * (high[0] - low[0])


def test_a_residual_of_weight_0_has_no_influence():
    residuals, forecasts = np.arange(20.0), np.linspace(0, 3, 20)
    weights = (np.arange(20) < 10).astype(float)
    given = {"at": np.array([1.0]), "levels": [0.2, 0.8]}
    short = residual_quantiles(residuals[:10], forecasts[:10], np.ones(10), **given)
    assert residual_quantiles(residuals, forecasts, weights, **given) == pytest.approx(short)
    assert residual_quantiles(residuals, forecasts, np.ones(20), **given) != pytest.approx(short)


@pytest.mark.parametrize("count", [1, 31, 33, 513, 700])
def test_the_blocks_that_fit_into_memory_do_not_show(count):
    """Each quantile by its definition, window after window."""
    rng = np.random.default_rng(count)
    residuals, forecasts, weights = rng.normal(size=40).round(1), rng.normal(5, 2, size=40), rng.random(40)
    weights[:5] = 0.0
    at, levels = rng.normal(5, 3, size=count), np.array([0.05, 0.5, 0.95])
    order = np.argsort(residuals, kind="stable")
    order = order[weights[order] > 0]
    values, around, mass = residuals[order], forecasts[order], weights[order] / weights[order].mean()
    expected = []
    for own in at:
        kernel = np.exp(-0.5 * (own - around) ** 2)
        share = mass * (0.3 + 0.7 * kernel / (kernel @ mass / len(mass)))
        size = share.sum() ** 2 / (share**2).sum()
        place = np.cumsum(share) / share.sum() / (1 + 1 / size)
        expected.append(np.interp(levels, place, values))
    got = residual_quantiles(residuals, forecasts, weights, at=at, levels=levels)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
