"""Observed windows as input sequences of the process."""

import numpy as np
import polars as pl
import pytest

from assets.protocol.observation import HOUR_MS, measure_popularity
from assets.protocol.process_inputs import observed_sequences, vocabulary
from assets.settings import Protocol

START = 1_780_000_000_000


@pytest.fixture
def feedback() -> pl.DataFrame:
    rows = [
        ("a", "like", 1.0),
        ("a", "comment", 2.0),
        ("a", "share", 30.0),
        ("b", "gift", 0.5),
        ("b", "like", 0.5),
        ("z", "like", 400.0),
    ]
    frame = pl.DataFrame(rows, schema=["item", "type", "hour"], orient="row")
    return frame.select(
        "item",
        "type",
        (START + pl.col("hour") * HOUR_MS).cast(pl.Int64).alias("time"),
        pl.int_range(pl.len(), dtype=pl.Int64).over("item").alias("order"),
    )


@pytest.fixture
def windows(feedback) -> pl.DataFrame:
    videos = pl.DataFrame(
        {"item": ["a", "b", "never"], "published_at": [START, START, None]}, schema_overrides={"published_at": pl.Int64}
    )
    return measure_popularity(videos, feedback, Protocol()).frame


def test_the_vocabulary_is_of_the_items_and_the_window_given(feedback, windows):
    assert vocabulary(feedback, windows, Protocol(), ["a"]) == ["comment", "like"]


def test_hours_types_windows_and_what_is_left_out(feedback, windows):
    made = observed_sequences(
        feedback, windows, Protocol(), items=["b", "a", "never"], types=["comment", "like"], max_events=8
    )
    assert [hours.tolist() for hours in made.hours] == [[0.5], pytest.approx([1.0, 2.0]), []]
    assert [types.tolist() for types in made.types] == [[1], [1, 0], []]
    assert made.t_end.tolist() == [24.0, 24.0, 0.0]
    assert made.dropped == 1
    batch = made.batch()
    assert batch.lengths.tolist() == [1, 2, 0]
    assert made.take([1]).items == ["a"]
    assert [part.items for part in made.blocks(2)] == [["b", "a"], ["never"]]


def test_a_window_with_too_many_events_keeps_its_age_and_count(feedback, windows):
    """Only the likelihood's stretch ends with the last event that is used."""
    made = observed_sequences(feedback, windows, Protocol(), items=["a"], types=["comment", "like"], max_events=1)
    assert made.hours[0] == pytest.approx(np.array([1.0]))
    assert made.t_end[0] == pytest.approx(1.0)
    assert (made.age.tolist(), made.total.tolist(), made.window) == ([24.0], [2], 24.0)


def test_a_window_that_is_still_open_has_its_true_age(feedback):
    """Item y is published six hours before the data end."""
    videos = pl.DataFrame({"item": ["y"], "published_at": [START + 394 * HOUR_MS]})
    labels = measure_popularity(videos, feedback, Protocol()).frame
    made = observed_sequences(feedback, labels, Protocol(), items=["y"], types=["like"], max_events=None)
    assert (made.age.tolist(), made.t_end.tolist(), made.window) == ([6.0], [6.0], 24.0)


def test_a_younger_window_is_what_was_known_then(feedback, windows):
    whole = observed_sequences(
        feedback, windows, Protocol(), items=["a", "b"], types=["comment", "like"], max_events=None
    )
    made = whole.until(np.array([1.5, 400.0]))
    assert [hours.tolist() for hours in made.hours] == [pytest.approx([1.0]), [0.5]]
    assert [types.tolist() for types in made.types] == [[1], [1]]
    assert made.age.tolist() == made.t_end.tolist() == [1.5, 24.0]  # never beyond what was observed
    assert made.total.tolist() == [1, 1]
    assert made.digests()["a"] != whole.digests()["a"] and made.digests()["b"] == whole.digests()["b"]


def test_with_first_k_no_length_of_the_window_is_planned(feedback):
    videos = pl.DataFrame({"item": ["a"], "published_at": [START]})
    protocol = Protocol(first_k=2)
    labels = measure_popularity(videos, feedback, protocol).frame
    made = observed_sequences(feedback, labels, protocol, items=["a"], types=["comment", "like"], max_events=None)
    assert (made.age.tolist(), made.window) == ([2.0], 0.0)
