"""Labels of several targets, from events and counters, against a slow reference and by hand."""

import math
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.protocol.label_check import check_labels
from assets.protocol.labels import matrix
from assets.protocol.observation import Labels, measure_popularity
from assets.protocol.target import HOUR_MS, ProtocolError
from assets.settings import Protocol
from storage.datasets import COUNTERS

START = 1_780_000_000_000


def at(hour: float | None) -> int | None:
    """Return unix ms of an hour after START."""
    return None if hour is None else START + round(hour * HOUR_MS)


def videos(**published: float | None) -> pl.DataFrame:
    """Items with their publication in hours after START."""
    times = [at(hour) for hour in published.values()]
    return pl.DataFrame(
        {"item": list(published), "published_at": times}, schema={"item": pl.String, "published_at": pl.Int64}
    )


def events(*rows: tuple[str, str, float]) -> pl.DataFrame:
    """(item, type, hours after START)."""
    frame = pl.DataFrame(
        [(item, kind, at(hour)) for item, kind, hour in rows],
        schema={"item": pl.String, "type": pl.String, "time": pl.Int64},
        orient="row",
    ).sort("item", "time", maintain_order=True)
    return frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order"))


def counters(*rows: tuple[str, str, float | None, int]) -> pl.DataFrame:
    """(item, metric, hours after START or None for a final count, value)."""
    frame = pl.DataFrame(
        [(item, metric, at(hour), value) for item, metric, hour, value in rows], COUNTERS, orient="row"
    )
    return frame.sort("item", "metric", "time", nulls_last=True, maintain_order=True)


def of(labels: Labels, item: str, target: str) -> tuple[float | None, str | None, int | None, bool]:
    """Return count, source, label time and whether it is known."""
    row = labels.by_target.filter((pl.col("item") == item) & (pl.col("target") == target)).row(0, named=True)
    return row["count"], row["source"], row["label_time"], row["known"]


def checked(labels: Labels, feedback: pl.DataFrame, counts: pl.DataFrame, protocol: Protocol) -> Labels:
    """Return the labels, which must pass the check that recounts them."""
    result = check_labels(labels.frame, labels.by_target, feedback, counts, protocol, as_of=labels.as_of)
    assert result.passed, result.metadata
    return labels


def test_events_and_counters_give_labels_at_their_own_horizons():
    protocol = Protocol(targets=["comment@7d", "view@2d", "view@end"], hours=1)
    feedback = events(
        ("a", "comment", 1), ("a", "like", 2), ("a", "comment", 168), ("a", "comment", 169), ("b", "like", 500)
    )
    counts = counters(("a", "view", 40, 100), ("a", "view", 50, 201), ("a", "view", 90, 400), ("b", "view", 48, 7))
    labels = measure_popularity(videos(a=0, b=0, c=490), feedback, protocol, counters=counts)
    checked(labels, feedback, counts, protocol)
    assert of(labels, "a", "comment@7d") == (2, "events", at(168), True)
    # 100 + 101 * 8 / 10 = 180.8, known when the snapshot after the horizon was taken
    assert of(labels, "a", "view@2d") == (181, "interpolated", at(50), True)
    assert of(labels, "b", "view@2d") == (7, "counter", at(48), True)  # exactly at the horizon
    assert of(labels, "a", "view@end") == (400, "counter", at(90), True)
    assert of(labels, "c", "view@end") == (None, None, None, False)
    assert matrix(labels.by_target, ["c", "a", "unheard of"], "count")[1].tolist() == [2, 181, 400]
    a = labels.frame.row(0, named=True)
    assert (a["count"], a["labelled"], a["label_time"]) == (2, True, at(168))


def test_a_horizon_without_a_snapshot_on_each_side_has_no_label():
    protocol = Protocol(targets=["view@2d"], hours=1)
    counts = counters(
        ("early", "view", 10, 1), ("early", "view", 47.9, 5), ("late", "view", 48.1, 9), ("end", "view", 500, 1)
    )
    labels = checked(
        measure_popularity(videos(early=0, late=0, end=0), events(), protocol, counters=counts),
        events(),
        counts,
        protocol,
    )
    assert [of(labels, item, "view@2d")[3] for item in ("early", "late", "end")] == [False, False, False]


def test_a_final_count_without_a_time_is_the_label_at_the_end_only():
    protocol = Protocol(targets=["view@end", "view@7d"], hours=0)
    counts = counters(("a", "view", None, 12), ("b", "view", 3, 5), ("b", "view", None, 9), ("never", "view", None, 0))
    labels = checked(
        measure_popularity(videos(a=0, b=0, never=None), events(), protocol, counters=counts),
        events(),
        counts,
        protocol,
    )
    assert of(labels, "a", "view@end") == (12, "counter", None, True)
    assert of(labels, "b", "view@end") == (9, "counter", None, True)  # it is later than every snapshot
    assert of(labels, "never", "view@end") == (0, "counter", None, True)
    assert not of(labels, "a", "view@7d")[3]
    assert labels.frame["labelled"].all() and labels.frame["t0"].to_list() == [at(0), at(0), None]


def test_an_item_with_counters_only_begins_with_its_publication_or_its_first_snapshot():
    protocol = Protocol(targets=["view@2d"], hours=1)
    counts = counters(*[(item, "view", hour, 3) for item in "abc" for hour in (5, 100)])
    labels = measure_popularity(videos(a=2, b=None, c=None), events(("c", "like", 4)), protocol, counters=counts)
    assert labels.frame.select("t0", "t0_source").rows() == [
        (at(2), "published"), (at(5), "first snapshot"), (at(4), "first event")
    ]  # fmt: skip


def test_a_snapshot_within_the_window_is_no_label_at_the_end():
    protocol = Protocol(targets=["view@end"], hours=24)
    counts = counters(("young", "view", 10, 3), ("old", "view", 30, 3), ("old", "view", 100, 5))
    labels = measure_popularity(videos(young=0, old=0), events(), protocol, counters=counts)
    assert of(labels, "young", "view@end") == (None, None, at(10), False)
    assert of(labels, "old", "view@end") == (5, "counter", at(100), True)


def test_events_win_over_a_counter_of_the_same_name():
    protocol = Protocol(targets=["like@2d"], hours=1)
    counts = counters(("a", "like", 48, 900))
    labels = measure_popularity(videos(a=0), events(("a", "like", 2), ("a", "x", 80)), protocol, counters=counts)
    assert of(labels, "a", "like@2d") == (1, "events", at(48), True)


def test_an_item_that_lacks_the_primary_target_is_labelled_by_the_others():
    protocol = Protocol(targets=["view@2d", "like@2d"], hours=1)
    counts = counters(("a", "view", 48, 900))
    feedback = events(("a", "like", 2), ("b", "like", 2), ("a", "x", 80))
    labels = checked(
        measure_popularity(videos(a=0, b=0), feedback, protocol, counters=counts), feedback, counts, protocol
    )
    b = labels.frame.row(1, named=True)
    assert (b["labelled"], b["count"], b["target"], b["label_time"]) == (True, None, None, at(48))


@pytest.mark.parametrize(
    ("protocol", "feedback", "counts", "says"),
    [
        (Protocol(), events(), counters(), "neither events nor counters"),
        (
            Protocol(),
            events(),
            counters(("a", "view", 1, 2)),
            r"only counters \(view\): name what is forecast, for example",
        ),
        (
            Protocol(targets=["like@7d", "views@7d", "share@end"]),
            events(("a", "like", 1)),
            counters(("a", "view", 1, 2)),
            "no data for views@7d, share@end; events have the types like, and `all` counts every type; counters have view",
        ),
        (
            Protocol(targets=["all@7d"]),
            events(),
            counters(("a", "view", 1, 2)),
            "no data for all@7d; counters have view",
        ),
        (Protocol(label_event="share"), events(), counters(("a", "view", 1, 2)), "allowed are view"),
        (
            Protocol(targets=["view@end"], hours=0, target="log2"),
            events(),
            counters(("a", "view", None, 0)),
            r"item a has a count of 0 \(view@end\)",
        ),
    ],
)
def test_what_cannot_be_forecast_is_refused(protocol, feedback, counts, says):
    with pytest.raises(ProtocolError, match=says):
        measure_popularity(videos(a=0), feedback, protocol, counters=counts)


def test_a_window_of_no_length_holds_nothing_also_not_at_its_moment():
    feedback = events(("a", "like", 0), ("a", "like", 0), ("a", "like", 3), ("b", "like", 400))
    protocol = Protocol(hours=0)
    labels = checked(measure_popularity(videos(a=0, b=0), feedback, protocol), feedback, counters(), protocol)
    a = labels.frame.row(0, named=True)
    assert (a["window_complete"], a["observed_events"], a["observed_count"], a["count"]) == (True, 0, 0, 3)


def reference(curve: list[tuple[int, int]], final: int | None, horizon: int | None) -> int | None:
    """Return the label of one item, by looking at every snapshot (ms, value)."""
    if horizon is None:
        return final if final is not None else curve[-1][1] if curve else None
    for time, value in curve:
        if time == horizon:
            return value
    for (t0, v0), (t1, v1) in pairwise(curve):
        if t0 < horizon < t1:
            return math.floor(v0 + (v1 - v0) * ((horizon - t0) / (t1 - t0)) + 0.5)
    return None


@settings(deadline=None, max_examples=40)
@given(
    curves=st.lists(
        st.tuples(
            st.dictionaries(st.integers(2, 120), st.integers(0, 10**9), max_size=6), st.none() | st.integers(0, 10**9)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_labels_equal_those_of_the_reference(curves):
    protocol = Protocol(targets=["view@2d", "view@end"], hours=1)
    names = [f"item {number}" for number in range(len(curves))]
    rows = [(name, "view", hour, value) for name, (curve, _) in zip(names, curves) for hour, value in curve.items()]
    rows += [(name, "view", None, final) for name, (_, final) in zip(names, curves) if final is not None]
    counts = counters(*rows, ("clock", "view", 121, 0))
    labels = measure_popularity(videos(**dict.fromkeys([*names, "clock"], 0)), events(), protocol, counters=counts)
    checked(labels, events(), counts, protocol)
    for name, (curve, final) in zip(names, curves):
        snapshots = sorted((at(hour), value) for hour, value in curve.items())
        assert of(labels, name, "view@2d")[0] == reference(snapshots, final, at(48))
        assert of(labels, name, "view@end")[0] == reference(snapshots, final, None)
