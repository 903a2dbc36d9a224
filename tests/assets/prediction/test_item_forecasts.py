"""Which forecast of an item is scored, when a row applies to some items only."""

from __future__ import annotations

import numpy as np
import pytest

from assets.prediction import item_forecasts as module
from assets.prediction.forecast import Forecast
from models.predictor_table import LINE, MEAN
from models.predictors import Neighbourhood, Rows, Samples, VideoFeatures

NAN = np.nan


@pytest.fixture
def scored(settings_of, monkeypatch):
    """Return the forecasts of the line that are scored, by item, given its forecasts of three items."""
    items, target = np.array(["a", "b", "c"]), np.array([[1.0], [2.0], [NAN]])
    rows = Rows(np.zeros((3, 1, 1), np.float32), np.zeros((3, 1), bool))
    nobody = np.zeros((3, 1), bool)
    found = Neighbourhood(nobody.astype(int), nobody.astype(np.float32), nobody, np.zeros((3, 1, 1), np.float32))
    samples = Samples(items, VideoFeatures(rows, rows, rows, rows), found, target)
    monkeypatch.setattr(module, "read_labels", lambda store: None)
    monkeypatch.setattr(module, "matrix", lambda labels, items, column: np.ones((3, 1)))
    monkeypatch.setattr(module, "target_names", lambda store: ["view@7d"])

    def score(values: list[float]) -> dict[str, float]:
        forecasts = [Forecast(MEAN, None, np.full((3, 1), 1.5)), Forecast(LINE, None, np.array(values)[:, None])]
        frame = module.item_forecasts(None, settings_of(), samples, forecasts, age=None)
        line = frame.filter(frame["predictor"] == LINE)
        return dict(zip(line["item"], line["predicted"]))

    return score


def test_an_item_to_which_a_row_does_not_apply_gets_the_training_mean(scored):
    assert scored([0.5, NAN, NAN]) == {"a": 0.5, "b": 1.5}


def test_a_row_that_applies_to_no_labelled_item_is_left_out(scored):
    assert scored([NAN, NAN, 3.0]) == {}


def test_a_row_that_applies_to_every_item_is_scored_as_it_is(scored):
    assert scored([0.5, 0.7, NAN]) == {"a": 0.5, "b": 0.7}
