"""Labels from which nothing can be learned are refused, with dates and the settings to change."""

import polars as pl
import pytest

from assets.protocol.learnable_labels import NothingToLearn, TooFewLabels, check_learnable
from assets.protocol.observation import measure_popularity
from assets.protocol.target import HOUR_MS
from assets.settings import Protocol
from storage.datasets import COUNTERS

START = 1_386_000_000_000


def refusal(rows: list[tuple[int, float]], protocol: Protocol, *, published: int | None = 0, as_of: float) -> str:
    """Return the error for 20 items published an hour apart, with events (item, hours after its publication)."""
    items = [str(item) for item in range(20)]
    times = [None if published is None else START + item * HOUR_MS for item in range(20)]
    videos = pl.DataFrame({"item": items, "published_at": times}, schema={"item": pl.String, "published_at": pl.Int64})
    events = pl.DataFrame(
        [(str(item), "comment", START + int((item + hour) * HOUR_MS)) for item, hour in rows],
        schema={"item": pl.String, "type": pl.String, "time": pl.Int64},
        orient="row",
    ).sort("item", "time")
    events = events.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order"))
    labels = measure_popularity(videos, events, protocol, as_of=START + int(as_of * HOUR_MS))
    with pytest.raises((TooFewLabels, NothingToLearn)) as caught:
        check_learnable(labels, events, COUNTERS.to_frame(), protocol)
    return str(caught.value)


DAILY = [(item, 24.0 * day + 1) for item in range(20) for day in range(1 + item % 5)]


def test_too_few_labels_name_the_end_of_the_data_and_possible_horizons():
    told = refusal(DAILY, Protocol(), as_of=100)
    assert told.startswith(
        "comment@7d: 0 of 20 items have a complete window and a known label; at least 10 are needed. The data end at "
    )
    assert "2013-12-06 20:00:00 UTC. 20 items were followed for 3.4 to 4.2 days after t = 0" in told
    assert "protocol.horizon_hours = 91 would follow 10 to the end." in told


def test_the_proposed_horizon_leaves_as_many_labels_as_the_error_says():
    frame = pl.DataFrame({"item": [str(item) for item in range(20)]}).with_columns(
        published_at=START + pl.int_range(pl.len()) * HOUR_MS
    )
    events = pl.DataFrame({"item": ["0"], "type": ["comment"], "time": [START], "order": [0]})
    labels = measure_popularity(frame, events, Protocol(horizon_hours=91), as_of=START + 100 * HOUR_MS)
    assert labels.frame["labelled"].sum() == 10


def test_without_a_possible_horizon_the_window_is_named():
    assert "shorten both, or take data of a longer time" in refusal(DAILY, Protocol(), as_of=22)


def test_a_first_k_that_no_item_reaches_names_the_counts_that_exist():
    told = refusal(DAILY, Protocol(first_k=6), as_of=500)
    assert "The item with most events has 5, the tenth 3; protocol.first_k is 6." in told


def test_equal_labels():
    told = refusal([(item, 1.0) for item in range(20)], Protocol(), as_of=500)
    assert "all 20 labels are equal, 1 comment events" in told and "all, comment are allowed" in told


def test_no_feedback_in_any_window():
    told = refusal([(item, 30.0 + item) for item in range(20) for _ in range(1 + item % 2)], Protocol(), as_of=500)
    assert "none of 20 labelled items has feedback in its observation window (protocol.hours = 24)" in told
    assert "39.5 hours after t = 0" in told


def test_windows_that_end_where_they_begin():
    told = refusal(DAILY, Protocol(first_k=1), published=None, as_of=500)
    assert "observation window ends at t = 0" in told and "first_k" in told


def test_a_chronological_split_that_its_gap_leaves_empty():
    told = refusal(DAILY, Protocol(split="chronological"), as_of=500)
    assert "leaves the train split 0 of 20 labelled items" in told and "18 have labels that were not known" in told
