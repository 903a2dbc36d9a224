"""The observation window and the label, on feedback small enough to count by hand."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.protocol.observation import measure_popularity, observed
from assets.protocol.target import HOUR_MS, ProtocolError
from assets.settings import Protocol

START = 1_780_000_000_000


def videos(**published: float | None) -> pl.DataFrame:
    """Items with their publication in hours after START."""
    times = [None if hour is None else START + int(hour * HOUR_MS) for hour in published.values()]
    return pl.DataFrame(
        {"item": list(published), "published_at": times}, schema={"item": pl.String, "published_at": pl.Int64}
    )


def events(*rows: tuple[str, str, float]) -> pl.DataFrame:
    """(item, type, hours after START), in time order within an item."""
    frame = pl.DataFrame(
        {
            "item": [row[0] for row in rows],
            "type": [row[1] for row in rows],
            "time": [START + int(row[2] * HOUR_MS) for row in rows],
        },
        schema={"item": pl.String, "type": pl.String, "time": pl.Int64},
    )
    return frame.sort("item", "time", maintain_order=True).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order")
    )


def row(labels, item: str) -> dict:
    return labels.frame.filter(pl.col("item") == item).row(0, named=True)


def test_window_in_hours_and_label_at_the_horizon():
    feedback = events(
        ("a", "comment", 1), ("a", "like", 2), ("a", "comment", 24), ("a", "comment", 24.5), ("a", "comment", 168),
        ("a", "comment", 168.1), ("b", "like", 300),
    )  # fmt: skip
    labels = measure_popularity(videos(a=0, b=200), feedback, Protocol())
    a = row(labels, "a")
    assert (a["observed_events"], a["observed_count"], a["count"]) == (3, 2, 4)
    assert a["target"] == pytest.approx(2.321928, abs=1e-6)
    assert a["counts"] == [{"type": "comment", "count": 4}, {"type": "like", "count": 1}]
    b = row(labels, "b")
    assert (b["labelled"], b["window_complete"], b["count"], b["target"]) == (False, True, None, None)
    assert labels.as_of == START + 300 * HOUR_MS


def test_an_open_window_ends_with_the_data():
    labels = measure_popularity(
        videos(a=0, new=295, silent=299),
        events(("a", "comment", 1), ("new", "like", 296), ("a", "like", 300)),
        Protocol(),
    )
    new = row(labels, "new")
    assert (new["window_complete"], new["observed_until"]) == (False, START + 300 * HOUR_MS)
    assert row(labels, "silent")["observed_events"] == 0


def test_without_publication_the_first_event_is_the_start():
    labels = measure_popularity(
        videos(a=None, never=None), events(("a", "comment", 5), ("a", "comment", 6), ("a", "like", 400)), Protocol()
    )
    assert row(labels, "a")["t0"] == START + 5 * HOUR_MS
    assert row(labels, "a")["t0_source"] == "first event"
    assert row(labels, "never")["t0"] is None
    assert not row(labels, "never")["labelled"]


def test_feedback_before_the_publication_moves_the_start():
    labels = measure_popularity(videos(a=10), events(("a", "comment", 8), ("a", "like", 400)), Protocol())
    assert row(labels, "a")["t0"] == START + 8 * HOUR_MS
    assert any("before their stated publication" in note for note in labels.notes)


def test_first_k_goes_by_rank_not_by_time():
    feedback = events(("a", "x", 1), ("a", "x", 2), ("a", "y", 2), ("a", "y", 9), ("b", "x", 3))
    protocol = Protocol(first_k=2)
    labels = measure_popularity(videos(a=None, b=None), feedback, protocol)
    seen = observed(feedback, labels.frame, protocol)
    assert seen.filter(pl.col("item") == "a")["hours"].to_list() == pytest.approx([0.0, 1.0])
    assert row(labels, "a")["count"] == 4
    assert row(labels, "a")["observed_count"] == 2
    assert not row(labels, "b")["labelled"]


def test_the_label_counts_the_type_asked_for():
    feedback = events(("a", "like", 1), ("a", "like", 30), ("a", "share", 40), ("a", "like", 400))
    assert measure_popularity(videos(a=0), feedback, Protocol()).targets[0].metric == "all"
    assert row(measure_popularity(videos(a=0), feedback, Protocol(label_event="share")), "a")["count"] == 1
    with pytest.raises(ProtocolError, match="allowed are all, auto, like, share"):
        measure_popularity(videos(a=0), feedback, Protocol(label_event="comment"))


def test_log2_refuses_a_count_of_zero():
    feedback = events(("a", "like", 1), ("a", "like", 400), ("b", "comment", 1))
    with pytest.raises(ProtocolError, match="item a has a count of 0"):
        measure_popularity(videos(a=0, b=0), feedback, Protocol(target="log2"))


@settings(deadline=None)
@given(
    hours=st.lists(st.floats(0, 400, allow_nan=False), min_size=1, max_size=30),
    window=st.floats(0.5, 100),
)
def test_nothing_after_the_window_is_observed(hours, window):
    feedback = events(*[("a", "comment", hour) for hour in hours], ("end", "comment", 500))
    protocol = Protocol(hours=window)
    labels = measure_popularity(videos(a=0, end=0), feedback, protocol)
    seen = observed(feedback, labels.frame, protocol).filter(pl.col("item") == "a")
    limit = round(window * HOUR_MS)
    expected = sum(int(hour * HOUR_MS) <= limit for hour in hours)
    assert len(seen) == expected == row(labels, "a")["observed_events"]
    assert row(labels, "a")["count"] == sum(int(hour * HOUR_MS) <= 168 * HOUR_MS for hour in hours)
