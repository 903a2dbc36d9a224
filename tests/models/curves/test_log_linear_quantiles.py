import numpy as np
import pytest

from models.baselines import NotApplicable
from models.curves import LEVELS
from models.curves.log_linear_quantiles import LogLinearQuantiles
from models.curves.scores import curve_scores


def test_quantiles_cover_counts_that_follow_the_line():
    rng = np.random.default_rng(0)
    early = rng.poisson(20.0, size=4000).astype(float)
    late = np.floor(np.exp2(1.0 + np.log2(1.0 + early) + 0.6 * rng.normal(size=4000)))
    line = LogLinearQuantiles.fit(early[:2000], late[:2000])
    assert (line.slope, line.deviation) == pytest.approx((1.0, 0.6), abs=0.1)
    scores = curve_scores(line.quantiles(early[2000:], LEVELS), LEVELS, late[2000:])
    assert scores["coverage_80"] == pytest.approx(0.8, abs=0.03)


def test_no_quantile_lies_below_the_count_so_far():
    line = LogLinearQuantiles(intercept=0.0, slope=0.5, deviation=1.0)
    assert (line.quantiles(np.array([100.0]), LEVELS) >= 100.0).all()


def test_equal_counts_have_no_line():
    with pytest.raises(NotApplicable, match="different counts"):
        LogLinearQuantiles.fit(np.zeros(5), np.arange(5.0))
