import numpy as np
import pytest

from models.curves import Curves

HORIZONS, LEVELS = np.array([1.0, 24.0]), np.array([0.1, 0.9])


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.zeros((1, 1, 2, 3)), "counts must be"),
        ([[[[1.0, 2.0], [0.5, 3.0]]]], "window 0: the curve falls from horizon 0"),
        ([[[[1.0, 2.0], [3.0, 2.5]]]], "window 0: the curve falls from level 0"),
    ],
)
def test_a_falling_curve_is_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        Curves(HORIZONS, LEVELS, np.asarray(counts))


def test_a_window_without_a_forecast_is_allowed():
    assert np.isnan(Curves(HORIZONS, LEVELS, np.full((1, 1, 2, 2), np.nan)).quantile(0.9)).all()


def test_a_level_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"level 0\.5 is not among the levels \[0\.1, 0\.9\]"):
        Curves(HORIZONS, LEVELS, np.zeros((1, 1, 2, 2))).quantile(0.5)
