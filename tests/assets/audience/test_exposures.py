"""Which exposures a recommendation score may rest on: honest ones pass the check, and each planted leak is found."""

import numpy as np
import polars as pl
import pytest

from assets.audience.exposures import Exposures, clicks_and_skips, observable
from assets.audience.user_histories import check_observed, keep_histories
from assets.settings import Audience, Protocol
from models.recommenders import UserHistories
from storage.datasets import DatasetError

HOUR = 3_600_000
WINDOWS = pl.DataFrame(
    {
        "item": ["a", "b", "v", "t"],
        "t0": [0, 10 * HOUR, 12 * HOUR, 20 * HOUR],
        "observed_until": [24 * HOUR, 34 * HOUR, 36 * HOUR, 44 * HOUR],
    }
)
SIDES = pl.DataFrame({"item": ["a", "b", "v", "t"], "split": ["train", "train", "val", "test"]})
EVENTS = pl.DataFrame(
    [
        ("a", "u1", 1),
        ("a", "u2", 5),
        ("a", "u1", 22),  # after the first test item's publication
        ("a", "u2", 30),  # after the window
        ("b", "u1", 12),
        ("b", None, 13),  # nobody's
        ("v", "u1", 14),
        ("t", "u2", 21),
    ],
    schema=["item", "user", "hour"],
    orient="row",
).select(
    "item",
    "user",
    pl.lit("comment").alias("type"),
    (pl.col("hour") * HOUR).alias("time"),
    pl.int_range(pl.len()).over("item").alias("order"),
)
PROTOCOLS = {
    "random": Protocol(hours=24),
    "chronological": Protocol(hours=24, split="chronological"),
    "first two events": Protocol(first_k=2),
    "at publication": Protocol(hours=0),
}
SEEN = {
    "random": [("a", 1), ("a", 5), ("a", 22), ("b", 12)],
    "chronological": [("a", 1), ("a", 5), ("b", 12)],
    "first two events": [("a", 1), ("a", 5), ("b", 12)],
    "at publication": [],
}


def windows_of(name: str) -> pl.DataFrame:
    if name != "first two events":
        return WINDOWS
    ends = {"a": 5 * HOUR, "b": 13 * HOUR, "v": 14 * HOUR, "t": 21 * HOUR}
    return WINDOWS.with_columns(pl.col("item").replace_strict(ends).alias("observed_until"))


def histories_of(frame: pl.DataFrame, tmp_path) -> tuple[UserHistories, np.ndarray]:
    keep_histories(tmp_path, Exposures(frame, ["a", "b", "t", "v"], None))
    arrays = {file.stem: np.load(file) for file in tmp_path.glob("*.npy")}
    observed = arrays.pop("observed")
    return UserHistories(**arrays), observed


def exposed(name: str) -> pl.DataFrame:
    frame = clicks_and_skips(EVENTS, Audience())
    return frame.with_columns(observable(frame, windows_of(name), SIDES, PROTOCOLS[name]))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_only_observed_exposures_of_training_items_count(name, tmp_path):
    frame = exposed(name)
    seen = frame.filter("observed").select("item", pl.col("time") // HOUR).rows()
    assert seen == SEEN[name]
    histories, observed = histories_of(frame, tmp_path)
    result = check_observed(histories, observed, windows_of(name), SIDES, PROTOCOLS[name], events=EVENTS)
    assert result.passed, result.metadata


LEAKS = {
    "of an item that is not for training": ("random", ("v", 14)),
    "after the observation window": ("random", ("a", 30)),
    "not before the first test item": ("chronological", ("a", 22)),
    "beyond the first events": ("first two events", ("a", 22)),
    "although nothing is observed": ("at publication", ("a", 1)),
}


@pytest.mark.parametrize("rule", LEAKS)
def test_each_planted_leak_is_found(rule, tmp_path):
    name, (item, hour) = LEAKS[rule]
    leak = (pl.col("item") == item) & (pl.col("time") == hour * HOUR)
    frame = exposed(name).with_columns(pl.col("observed") | leak)
    histories, observed = histories_of(frame, tmp_path)
    result = check_observed(histories, observed, windows_of(name), SIDES, PROTOCOLS[name], events=EVENTS)
    assert not result.passed
    assert result.metadata["wrong"].data[rule]["latest"][1:] == [item, hour * HOUR]


def test_types_of_events_are_clicks_skips_or_nothing():
    events = pl.DataFrame(
        {
            "item": ["a"] * 4,
            "user": ["u"] * 4,
            "type": ["5", "4", "1", "view"],
            "time": [1, 2, 3, 4],
            "order": [0, 1, 2, 3],
        }
    )
    chosen = clicks_and_skips(events, Audience(clicks=["4", "5"], skips=["1"]))
    assert chosen.select("time", "clicked").rows() == [(1, True), (2, True), (3, False)]
    assert clicks_and_skips(events, Audience(skips=["1"]))["clicked"].to_list() == [True, True, False, True]
    with pytest.raises(
        DatasetError, match=r"audience.clicks names '6', which no event has; the types are 1, 4, 5, view"
    ):
        clicks_and_skips(events, Audience(clicks=["6"]))
    with pytest.raises(DatasetError, match=r"none of the 4 events names its user; set audience.exposures"):
        clicks_and_skips(events.with_columns(pl.lit(None, pl.String).alias("user")), Audience())
    with pytest.raises(ValueError, match="a type is a click or a skip; '4' is in both lists"):
        Audience(clicks=["4"], skips=["4"])


def test_a_log_of_other_items_has_no_observed_exposure():
    log = pl.DataFrame({"user": ["u"], "item": ["elsewhere"], "time": [1]}).with_columns(
        pl.lit(None, pl.Int64).alias("order")
    )
    assert not observable(log, WINDOWS, SIDES, PROTOCOLS["random"]).any()
    own = log.with_columns(pl.lit("a").alias("item"))
    assert observable(own, WINDOWS, SIDES, PROTOCOLS["random"]).all()
