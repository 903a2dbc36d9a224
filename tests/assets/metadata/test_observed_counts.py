"""Counts by age against a slow reference; nothing later than the age, nothing at age 0."""

import numpy as np
import polars as pl
import pytest

from assets.metadata.observed_counts import counter_columns, event_columns, event_counts, observed_snapshots, windows_at
from assets.protocol.observation import measure_popularity
from assets.settings import Protocol

HOUR = 3_600_000
START = 1_780_000_000_000
AGES = [None, 0.0, 0.5, 1.0, 7.25, 24.0, 100.0]


def random_feedback(seed: int = 0, items: int = 25) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Popularity's inputs and counters: items with events at t = 0 and at equal times, items without events or snapshots."""
    rng = np.random.default_rng(seed)
    ids = [f"v{number}" for number in range(items)]
    videos = pl.DataFrame({"item": ids, "published_at": START + rng.integers(0, 100, items) * HOUR})
    events, counters = [], []
    for item, start in videos.iter_rows():
        times = np.sort(rng.integers(0, 60 * 4, int(rng.integers(0, 40)))) * HOUR // 4
        users = [None if rng.random() < 0.2 else f"u{rng.integers(6)}" for _ in times]
        events += [
            (item, user, str(rng.choice(["comment", "like"])), start + int(time), order)
            for order, (user, time) in enumerate(zip(users, times))
        ]
        for metric in ("view", "share"):
            at = np.sort(rng.choice(60, int(rng.integers(0, 6)), replace=False)) * HOUR
            values = np.cumsum(rng.integers(0, 50, len(at)))
            counters += [(item, metric, start + int(time), int(value)) for time, value in zip(at, values)]
            counters.append((item, metric, None, 1000))
    frame = pl.DataFrame(events, schema=["item", "user", "type", "time", "order"], orient="row")
    # the data end when this item is published and has its first event
    end = max(time for *_, time, _ in events)
    videos = pl.concat([videos, pl.DataFrame({"item": ["last"], "published_at": [end]})])
    events.append(("last", "u0", "like", end, 0))
    types = {"item": pl.String, "metric": pl.String, "time": pl.Int64, "value": pl.Int64}
    return videos, frame, pl.DataFrame(counters, schema=types, orient="row")


def close(expected: dict) -> object:
    """The expected values, in which None stands for an unknown one."""
    return pytest.approx(known(expected), rel=1e-12, nan_ok=True)


def known(row: dict) -> dict:
    return {name: np.nan if value is None else value for name, value in row.items()}


def rate(count: float, hours: float) -> float | None:
    return count / hours if hours > 0 else None


def slow_events(item: str, age: float | None, events: pl.DataFrame, clock: dict, protocol: Protocol) -> dict:
    own = (clock["observed_until"] - clock["t0"]) / HOUR
    until = own if age is None else min(age, own)
    rows = [row for row in events.to_dicts() if row["item"] == item and (row["time"] - clock["t0"]) / HOUR <= until]
    if protocol.first_k is not None:
        rows = [row for row in rows if row["order"] < protocol.first_k]
    if age == 0 or protocol.forecasts_at_publication:
        rows = []
    hours = [(row["time"] - clock["t0"]) / HOUR for row in rows]
    found = {
        "events": len(rows),
        "events_log2": np.log2(1 + len(rows)),
        "events_per_hour": rate(len(rows), until),
        "events_first_hour": sum(hour <= 1 for hour in hours),
        "users": len({row["user"] for row in rows} - {None}),
        "hours_since_event": until - max(hours) if hours else None,
    }
    for kind in ("comment", "like"):
        count = sum(row["type"] == kind for row in rows)
        found |= {f"events {kind}": count, f"events_log2 {kind}": np.log2(1 + count)}
        found[f"events_per_hour {kind}"] = rate(count, until)
    return found


def slow_counter(
    item: str, metric: str, age: float | None, counters: pl.DataFrame, clock: dict, protocol: Protocol
) -> dict:
    own = (clock["observed_until"] - clock["t0"]) / HOUR
    until = own if age is None else min(age, own)
    rows = [
        ((row["time"] - clock["t0"]) / HOUR, row["value"])
        for row in counters.to_dicts()
        if (row["item"], row["metric"]) == (item, metric) and row["time"] is not None
    ]
    rows = [] if age == 0 or protocol.forecasts_at_publication else [row for row in rows if 0 <= row[0] <= until]
    two = rows[-2:]
    return {
        "counter": rows[-1][1] if rows else None,
        "counter_log2": np.log2(1 + rows[-1][1]) if rows else None,
        "counter_hours_since": until - rows[-1][0] if rows else None,
        "counter_per_hour": (two[1][1] - two[0][1]) / (two[1][0] - two[0][0]) if len(two) == 2 else None,
        "counter_snapshots": len(rows),
    }


PROTOCOLS = [Protocol(horizon_hours=40), Protocol(first_k=5), Protocol(hours=0, ages=[])]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=["hours", "first k", "at publication"])
def test_every_count_is_that_of_the_slow_reference(protocol):
    videos, events, counters = random_feedback()
    popularity = measure_popularity(videos, events, protocol).frame
    clocks = {row["item"]: row for row in popularity.to_dicts()}
    items = [item for item in videos["item"] for _ in AGES]
    ages = AGES * len(videos)
    windows = windows_at(items, ages, popularity)
    found = event_columns(windows, events, popularity, protocol, ["comment", "like"]).to_dicts()
    snapshots = counter_columns(windows, counters, popularity, protocol, ["view", "share"]).to_dicts()
    for item, age, row, snapshot in zip(items, ages, found, snapshots, strict=True):
        expected = slow_events(item, age, events, clocks[item], protocol)
        assert known(row) == close(expected), (item, age)
        for metric in ("view", "share"):
            expected = slow_counter(item, metric, age, counters, clocks[item], protocol)
            of_metric = {name: snapshot[f"{name} {metric}"] for name in expected}
            assert known(of_metric) == close(expected), (item, age, metric)


def test_without_any_feedback_every_count_is_zero_or_unknown():
    videos, events, counters = random_feedback()
    popularity = measure_popularity(videos, events, Protocol()).frame
    windows = windows_at(["v0", "v1"], [None, 1.0], popularity)
    row = event_columns(windows, events.clear(), popularity, Protocol(), ["like"]).row(0, named=True)
    assert (row["events"], row["users"], row["hours_since_event"]) == (0, 0, None)
    row = counter_columns(windows, counters.clear(), popularity, Protocol(), ["view"]).row(0, named=True)
    assert row["counter_snapshots view"] == 0 and row["counter view"] is None
    assert counter_columns(windows, counters, popularity, Protocol(), []).width == 0


def test_one_type_has_no_columns_beside_those_of_all_events():
    videos, events, _ = random_feedback()
    popularity = measure_popularity(videos, events, Protocol()).frame
    windows = windows_at(["v0"], [None], popularity)
    assert "events like" not in event_columns(windows, events, popularity, Protocol(), ["like"]).columns


def test_a_count_without_a_time_is_never_observed():
    videos, events, counters = random_feedback()
    popularity = measure_popularity(videos, events, Protocol()).frame
    assert observed_snapshots(counters, popularity, Protocol())["time"].null_count() == 0
    assert not observed_snapshots(counters.filter(pl.col("time").is_null()), popularity, Protocol()).height


@pytest.mark.parametrize(
    "protocol", [Protocol(), Protocol(first_k=3), Protocol(hours=0)], ids=["24 h", "first 3", "0 h"]
)
def test_the_number_of_events_alone_is_that_of_all_columns(protocol):
    videos, events, _ = random_feedback()
    popularity = measure_popularity(videos, events, protocol).frame
    items = popularity["item"].to_list() * len(AGES)
    windows = windows_at(items, [age for age in AGES for _ in range(len(popularity))], popularity)
    for kinds in (["comment", "like"], ["like"], []):
        some = events.filter(pl.col("type").is_in(kinds))
        every = event_columns(windows, some, popularity, protocol, [])["events"]
        assert event_counts(windows, some, popularity, protocol).equals(every)
        assert every.sum() > 0 or not kinds or protocol.hours == 0
