"""The end of the data, duplicates, spellings of types: on feedback small enough to count by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.datasets import DatasetError, open_dataset, read_moment
from storage.datasets.clock import DAY_MS, end_of_data, tell_moment

T = 1_700_000_000_000
LATE = 9_999_999_999_999


def data(write, rows: str, header: str = "item,time", videos: str = "item\na\nb\n"):
    return write({"videos.csv": videos, "events.csv": f"{header}\n{rows}"})


def warnings(dataset) -> list[str]:
    return [note.text for note in dataset.notes if note.severity == "warning"]


def test_one_absurd_time_does_not_move_the_end_of_the_data(write):
    dataset = open_dataset(data(write, f"a,{T}\nb,{LATE}\n"))
    assert dataset.as_of == T
    assert dataset.videos["item"].to_list() == ["a", "b"] and dataset.events["item"].to_list() == ["a"]
    assert len(warnings(dataset)) == 1
    assert "1 of 2 events are after 2023-11-14 22:13:20 UTC" in warnings(dataset)[0]
    assert "events.csv, line 3 (item b, 2286-11-20 17:46:39 UTC)" in warnings(dataset)[0]


def test_the_end_of_the_data_may_be_given(write):
    folder = data(write, f"a,{T}\na,{T + 5}\nb,{LATE}\n")
    assert open_dataset(folder, as_of=LATE).events.height == 3
    assert open_dataset(folder, as_of=T + 1).events.height == 1
    assert open_dataset(folder, as_of=T + 100 * DAY_MS).as_of == T + 100 * DAY_MS
    with pytest.raises(DatasetError, match=r"data\.as_of is 2023-11-14 22:13:19 UTC, but its first event is at"):
        open_dataset(folder, as_of=T - 1000)


def test_a_time_long_before_all_others_is_told_and_kept(write):
    dataset = open_dataset(data(write, f"b,{T // 10}\na,{T}\na,{T + 5}\na,{T + 6}\n"))
    assert dataset.events.height == 4
    assert "1 of 4 events are before 2023-11-14" in warnings(dataset)[0] and "line 2 (item b" in warnings(dataset)[0]


def test_a_publication_after_the_end_of_the_data_is_told(write):
    folder = data(write, f"a,{T}\n", videos=f"item,published_at\na,{T}\nb,{LATE}\n")
    assert "1 items are published after the end of the data" in warnings(open_dataset(folder))[0]


@given(st.lists(st.integers(0, 80 * DAY_MS), min_size=1, max_size=50))
def test_data_without_long_silence_end_with_their_last_event(gaps):
    times = T + np.cumsum(gaps)
    assert end_of_data(times[::-1]) == times[-1]


@pytest.mark.parametrize(
    "bulk, stray, days, apart", [(1000, 3, 200, True), (1000, 4, 200, False), (1000, 1, 100, False)]
)
def test_few_events_after_a_silence_longer_than_all_before_stand_apart(bulk, stray, days, apart):
    times = T + np.linspace(0, 120 * DAY_MS, bulk).astype(np.int64)
    late = times[-1] + days * DAY_MS + np.arange(stray)
    assert (end_of_data(np.concatenate([late, times])) == times[-1]) == apart


@pytest.mark.parametrize(
    "text", ["2024-03-01", "2024-03-01T00:00:00Z", "2024-03-01T02:00:00+02:00", "1709251200", " 1709251200000 "]
)
def test_moments(text):
    assert read_moment(text) == round(datetime(2024, 3, 1, tzinfo=UTC).timestamp() * 1000)
    assert tell_moment(read_moment(text)) == "2024-03-01 00:00:00 UTC"


@pytest.mark.parametrize("text", ["yesterday", "03/01/2024", "0", "17092512000000000000", ""])
def test_what_is_no_moment(text):
    with pytest.raises(ValueError, match=r"allowed are a date \(2024-03-01.* unix time"):
        read_moment(text)


def test_events_without_a_user_are_no_duplicates(write):
    dataset = open_dataset(data(write, f"a,{T}\n" * 5 + f"b,{T}\n"))
    assert (dataset.events.height, dataset.duplicates) == (6, 0)
    assert any("4 rows without a user equal another row" in note.text for note in dataset.notes)


def test_a_users_event_that_stands_twice_is_dropped_and_counted(write):
    rows = f"a,{T},u,\na,{T},u,\na,{T},,\na,{T},,\na,{T},u,like\n"
    dataset = open_dataset(data(write, rows, "item,time,user,type"))
    assert [row[1:3] for row in dataset.events.rows()] == [
        ("u", "comment"), (None, "comment"), (None, "comment"), ("u", "like"),
    ]  # fmt: skip
    assert dataset.duplicates == 1
    assert any("1 exact duplicate rows dropped, 4 events kept" in note.text for note in dataset.notes)


def test_rows_that_differ_in_a_further_column_are_no_duplicates(write):
    dataset = open_dataset(data(write, f"a,{T},u,hi\na,{T},u,you\na,{T},u,hi\n", "item,time,user,text"))
    assert dataset.further["events"]["text"].to_list() == ["hi", "you"]


def test_types_that_differ_in_case_are_told_with_their_counts(write):
    dataset = open_dataset(data(write, f"a,{T},Like\na,{T},like\na,{T}, like\na,{T},share\n", "item,time,type"))
    assert len(warnings(dataset)) == 1
    assert "'like' (2 events), 'Like' (1 events) differ only in case" in warnings(dataset)[0]
