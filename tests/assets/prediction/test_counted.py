"""What was counted of an item, and forecasts that are never below that count."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from assets.prediction.counted import at_least, counted_at, counted_so_far
from assets.protocol.observation import HOUR_MS, measure_popularity
from assets.protocol.target import measured_targets
from assets.settings import Protocol

START = 1_780_000_000_000
ITEMS = ["a", "new", "never"]
COUNTERS = pl.DataFrame(
    [("a", "view", START + hour * HOUR_MS, value) for hour, value in ((2, 10), (30, 40), (60, 90))],
    schema={"item": pl.String, "metric": pl.String, "time": pl.Int64, "value": pl.Int64},
    orient="row",
)


@pytest.fixture
def events() -> pl.DataFrame:
    rows = [("a", "comment", hour) for hour in (0.5, 1.0, 20.0, 30.0, 100.0)] + [("a", "like", 0.6)]
    rows += [("new", "comment", hour) for hour in (300.5, 340.0)] + [("new", "like", 301.0), ("z", "like", 360.0)]
    frame = pl.DataFrame(rows, schema=["item", "type", "hour"], orient="row").sort("item", "hour")
    return frame.select(
        "item",
        pl.lit(None, pl.String).alias("user"),
        "type",
        (START + pl.col("hour") * HOUR_MS).cast(pl.Int64).alias("time"),
        pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order"),
    )


def labels(events: pl.DataFrame, protocol: Protocol) -> pl.DataFrame:
    published = [START, START + 300 * HOUR_MS, START + 300 * HOUR_MS]
    videos = pl.DataFrame({"item": ITEMS, "published_at": published})
    return measure_popularity(videos, events, protocol, counters=COUNTERS).frame


@pytest.mark.parametrize(
    "options, age, expected",
    [
        ({}, None, [3, 1, 0]),
        ({}, 1.0, [2, 1, 0]),
        ({}, 0.75, [1, 1, 0]),
        ({"label_event": "all"}, 1.0, [3, 2, 0]),
        ({"first_k": 2}, None, [1, 1, 0]),
        ({"first_k": 4}, 0.75, [1, 1, 0]),
        ({}, 0.0, [0, 0, 0]),
    ],
)
def test_only_the_window_up_to_the_age_is_counted(events, options, age, expected):
    protocol = Protocol(**options)
    windows, targets = labels(events, protocol), measured_targets(protocol, events, COUNTERS)
    found = counted_at(events, COUNTERS, windows, targets, protocol, items=ITEMS, ages=[age] * len(ITEMS))
    assert found[:, 0].tolist() == expected


@pytest.mark.parametrize("protocol, age", [(Protocol(ages=[0.0]), 0.0), (Protocol(hours=0), None)])
def test_at_publication_nothing_is_counted_not_even_an_event_at_that_moment(events, protocol, age):
    unpublished = pl.DataFrame({"item": ITEMS, "published_at": pl.Series([None] * 3, dtype=pl.Int64)})
    windows, targets = (
        measure_popularity(unpublished, events, protocol).frame,
        measured_targets(protocol, events, COUNTERS),
    )
    found = counted_at(events, COUNTERS, windows, targets, protocol, items=ITEMS, ages=[age] * len(ITEMS))
    assert found.tolist() == [[0], [0], [0]]


def test_so_far_counts_after_the_window_too_but_not_after_the_horizon(events):
    protocol = Protocol(targets=["comment@50h", "all@50h", "view@50h", "view@end"])
    windows, targets = labels(events, protocol), measured_targets(protocol, events, COUNTERS)
    found = counted_so_far(events, COUNTERS, windows, targets, items=ITEMS)
    np.testing.assert_array_equal(found, [[4, 5, 40, 90], [2, 3, np.nan, np.nan], [0, 0, np.nan, np.nan]])


@pytest.mark.parametrize("age, expected", [(None, 10), (3.0, 10), (2.0, 10), (1.0, np.nan), (0.0, np.nan)])
def test_a_counter_has_its_last_value_in_the_window(events, age, expected):
    protocol = Protocol(targets=["view@50h"])
    windows, targets = labels(events, protocol), measured_targets(protocol, events, COUNTERS)
    found = counted_at(events, COUNTERS, windows, targets, protocol, items=ITEMS, ages=[age] * len(ITEMS))
    np.testing.assert_array_equal(found[:, 0], [expected, np.nan, np.nan])


@pytest.mark.parametrize("scale, floor", [("log2p1", [2.0, 0.0]), ("log2", [np.log2(3.0), 0.0]), ("raw", [3.0, 0.0])])
def test_a_forecast_is_raised_to_the_count_and_never_lowered(scale, floor):
    counted = np.array([3.0, np.nan])  # nothing is known of the second
    np.testing.assert_allclose(at_least(np.full((2, 2), -1.0), counted, scale), [floor, floor])
    np.testing.assert_array_equal(at_least(np.full((2, 2), 9.0), counted, scale), np.full((2, 2), 9.0))
