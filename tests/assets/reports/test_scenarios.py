"""Courses of feedback: what moves, what stays, and how far forecasts move."""

import numpy as np
import polars as pl
import pytest

from assets.reports.scenarios import SCENARIOS, shifts, with_course

HOUR = 3_600_000
DAY = 24 * HOUR
WINDOWS = pl.DataFrame({"item": ["a"], "t0": [0], "observed_until": [DAY]})


@pytest.fixture
def events() -> pl.DataFrame:
    """Three events of a within its window and one after it, and one of b."""
    hours = [2, 6, 20, 30]
    own = {
        "item": ["a"] * 4,
        "user": list("uvwx"),
        "type": ["comment"] * 4,
        "time": [h * HOUR for h in hours],
        "order": range(4),
    }
    other = {"item": ["b"], "user": ["u"], "type": ["like"], "time": [HOUR], "order": [0]}
    return pl.concat([pl.DataFrame(own), pl.DataFrame(other)])


def hours_of(events: pl.DataFrame, item: str = "a") -> list[float]:
    return (events.filter(pl.col("item") == item)["time"] / HOUR).to_list()


@pytest.mark.parametrize(
    ("name", "hours"),
    [("early_surge", [0.8, 1.6, 2.4, 30]), ("slow_burn", [8, 16, 24, 30]), ("sleeper_hit", [22.4, 23.2, 24, 30])],
)
def test_the_same_events_lie_elsewhere_in_the_window_and_nothing_else_changes(events, name, hours):
    changed = with_course(events, WINDOWS, SCENARIOS[name])
    assert hours_of(changed) == pytest.approx(hours)
    assert hours_of(changed, "b") == hours_of(events, "b")
    assert changed["user"].sort().to_list() == events["user"].sort().to_list()
    assert changed.columns == events.columns


def test_fake_likes_come_in_a_burst_beside_the_events_of_the_video(events):
    changed = with_course(events, WINDOWS, SCENARIOS["fake_likes"])
    fake = changed.filter(pl.col("item") == "a", pl.col("type") == "like")
    assert len(fake) == 5
    assert fake["time"].min() == 12 * HOUR and fake["time"].max() == 12 * HOUR + HOUR // 6
    assert hours_of(changed.filter(pl.col("type") == "comment")) == pytest.approx([2, 6, 20, 30])
    assert changed.filter(pl.col("item") == "a")["order"].to_list() == list(range(9))


def test_a_shift_is_the_mean_change_and_its_size_ignores_the_sign():
    before = pl.DataFrame({"predictor": "M3TR", "target_name": "t", "item": ["1", "2"], "predicted": [1.0, 1.0]})
    row = shifts("s", before, before.with_columns(predicted=pl.Series([2.0, 0.5]))).row(0, named=True)
    assert (row["shift"], row["size"]) == (0.25, 0.75)
    assert (row["low"], row["high"]) == (-0.5, 1.0)
    assert np.isfinite(row["items"])
