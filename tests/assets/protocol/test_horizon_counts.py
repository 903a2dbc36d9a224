"""Counts at the horizons of the curves, from events and counters."""

import numpy as np
import polars as pl
import pytest

from assets.prediction.counted import counted_at
from assets.protocol.horizon_counts import curve_horizons, horizon_counts, hours_followed
from assets.protocol.observation import measure_popularity
from assets.protocol.target import HOUR_MS, measured_targets
from assets.settings import CurveSettings, Protocol, Settings

START = 1_780_000_000_000
EVENTS = pl.DataFrame(
    [("a", "u", "comment", START + round(hours * HOUR_MS)) for hours in (0.5, 1.0, 30.0, 200.0)]
    + [("a", "u", "like", START), ("b", "u", "comment", START + 190 * HOUR_MS)],
    schema=["item", "user", "type", "time"],
    orient="row",
).with_columns(pl.int_range(pl.len()).over("item").alias("order"))
COUNTERS = pl.DataFrame(
    [("a", "view", START + hours * HOUR_MS, value) for hours, value in ((0, 0), (2, 20), (48, 100), (200, 300))],
    schema=["item", "metric", "time", "value"],
    orient="row",
)
VIDEOS = pl.DataFrame({"item": ["a", "b"], "published_at": [START, START + 180 * HOUR_MS]})


@pytest.fixture
def measured():
    protocol = Protocol(targets=["comment@7d", "view@7d"])
    popularity = measure_popularity(VIDEOS, EVENTS, protocol, counters=COUNTERS).frame
    return protocol, popularity, measured_targets(protocol, EVENTS, COUNTERS)


def test_counts_are_those_of_the_labels_and_unknown_where_the_data_end_first(measured):
    _, popularity, targets = measured
    horizons = np.array([1.0, 24.0, 48.0, 168.0])
    found = horizon_counts(
        EVENTS, COUNTERS, popularity, targets, horizons, as_of=START + 200 * HOUR_MS, items=["a", "b", "a"]
    )
    assert found.count[0, 0].tolist() == [2, 2, 3, 3]
    assert found.count[0, 1].tolist() == [10, pytest.approx(58, abs=1), 100, pytest.approx(258, abs=1)]  # interpolated
    assert found.count[1, 0, 0] == 0 and np.isnan(found.count[1, 0, 1:]).all()
    assert np.isnan(found.count[1, 1]).all()
    assert np.array_equal(found.count[2], found.count[0])
    assert found.since[0, 0, 1] == START + 24 * HOUR_MS
    assert found.since[0, 1, 0] == START + 2 * HOUR_MS  # known when the later snapshot was taken


def test_a_window_holds_what_was_counted_by_its_age(measured):
    protocol, popularity, targets = measured
    counted = counted_at(EVENTS, COUNTERS, popularity, targets, protocol, items=["a", "a", "a"], ages=[0.75, 3.0, None])
    assert counted.tolist() == [[1, 0], [2, 20], [2, 20]]


def test_the_grid_holds_the_horizon_of_every_target():
    settings = Settings(curves=CurveSettings(horizons=["1h", "2d"]))
    targets = measured_targets(Protocol(targets=["comment@7d", "like@end"]), EVENTS, COUNTERS)
    assert curve_horizons(settings, targets).tolist() == [1.0, 48.0, 168.0, np.inf]


def test_horizons_out_of_order_or_without_a_unit_are_refused():
    for horizons, words in ((["2d", "1h"], "ascending order"), (["3"], "'3' has the unit ''"), (["soon"], "'soon'")):
        with pytest.raises(ValueError, match=words):
            CurveSettings(horizons=horizons)


def test_items_were_followed_for_no_time_if_no_time_is_known():
    popularity = pl.DataFrame({"item": ["a", "b"], "t0": [START, None]})
    assert hours_followed(popularity, ["a", "b"], START + 2 * HOUR_MS).tolist() == [2.0, 0.0]
    assert hours_followed(popularity, ["a", "b"], None).tolist() == [0.0, 0.0]
