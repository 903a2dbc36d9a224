"""Metrics of resampled test sets are those of the sets written out."""

import numpy as np
import pytest

from models.metrics import METRICS
from models.resampled_metrics import ResampledMetrics


@pytest.fixture
def drawn():
    """Counts with ties, and forecasts of them."""
    rng = np.random.default_rng(3)
    target = np.log2(1.0 + rng.poisson(3, 40))
    return target, np.round(target + rng.normal(size=40), 1)


@pytest.mark.parametrize("metric", METRICS)
def test_every_set_has_the_metric_of_its_items(drawn, metric):
    target, predicted = drawn
    rows = np.random.default_rng(5).integers(0, 40, size=(30, 40))
    expected = METRICS[metric](target[rows], predicted[rows])
    found = ResampledMetrics(40, resamples=30, seed=5).metrics(target, predicted)[metric]
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-12)
    other = ResampledMetrics(40, resamples=30, seed=6).metrics(target, predicted)[metric]
    assert not np.allclose(other, expected)


def test_constant_forecasts_have_no_correlation_and_constant_labels_no_nmse(drawn):
    target, _ = drawn
    flat = np.full(40, 1.7)
    scored = ResampledMetrics(40, resamples=20).metrics(target, flat)
    assert np.isnan(scored["SRC"]).all() and np.isnan(scored["PLCC"]).all() and np.isfinite(scored["nMSE"]).all()
    assert np.isnan(ResampledMetrics(40, resamples=20).metrics(flat, target)["nMSE"]).all()
