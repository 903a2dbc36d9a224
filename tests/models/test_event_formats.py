"""Events come from tables and from the formats of other libraries, and a fault names its column or sequence."""

from datetime import datetime, timedelta

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from models.events import EventBatch

ROWS = {
    "video": ["b", "a", "b", "b"],
    "hours": [2.5, 0.5, 1.0, 1.0],
    "event": ["like", "share", "share", "like"],
}
TYPED = {"sequence": "video", "time": "hours", "type": "event", "type_names": ["like", "share"]}


@pytest.mark.parametrize("table", [dict, pl.DataFrame, pd.DataFrame, pa.table])
def test_a_table_of_any_library_is_read(table):
    batch = EventBatch.from_frame(table(ROWS), **TYPED, t_end=24.0)
    assert batch.lengths.tolist() == [3, 1], "sequences in the order of their first rows"
    assert batch.times[0].tolist() == [1.0, 1.0, 2.5] and batch.times[1, 0] == 0.5
    assert batch.types[0].tolist() == [1, 0, 0], "tied events keep the table's order"
    assert batch.t_end.tolist() == [24.0, 24.0]


def test_sequences_without_events_are_named_by_their_ends():
    batch = EventBatch.from_frame(
        ROWS, **TYPED, t_end={"c": 5.0, "a": 6.0, "b": 7.0}, t_start={"a": 0.5, "b": 1, "c": 0}
    )
    assert batch.lengths.tolist() == [0, 1, 3] and batch.t_end.tolist() == [5.0, 6.0, 7.0]
    assert batch.t_start.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("table", [dict, pl.DataFrame, pd.DataFrame])
def test_dates_become_the_time_since_the_start(table):
    noon = datetime(2024, 1, 1, 12)
    rows = {"video": ["a", "b"], "at": [noon + timedelta(hours=1), noon + timedelta(minutes=90)]}
    after = {"sequence": "video", "time": "at"}
    batch = EventBatch.from_frame(
        table(rows), **after, t_start={"a": noon, "b": noon + timedelta(hours=1)}, t_end=noon + timedelta(days=1)
    )
    assert batch.times[:, 0].tolist() == [1.0, 0.5] and batch.t_end.tolist() == [24.0, 23.0]
    assert batch.t_start.tolist() == [0.0, 0.0]
    assert EventBatch.from_frame(table(rows), **after, unit="min").times[:, 0].tolist() == [0.0, 30.0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sequence": "item"}, "no column 'item'; it has 'video', 'hours', 'event'"),
        ({"type_names": None}, r"'event' holds names; say which number each has: type_names=\['like', 'share'\]"),
        ({"type_names": ["like"]}, r"holds 'share', which type_names lacks; it has \['like'\]"),
        ({"t_end": {"a": 9.0}}, "t_end has no entry for sequence 'b' of column 'video'"),
        ({"t_start": {"a": 0.0}}, "t_start has no entry for sequence 'b'"),
        ({"time": "video"}, "'video' must hold numbers or dates; given 'b'"),
        ({"unit": "hours"}, "unit 'hours'; allowed: s, min, h, d"),
        ({"t_end": 2.0}, "event 2 at 2.5 is after t_end 2.0"),
    ],
)
@pytest.mark.parametrize("table", [pl.DataFrame, pd.DataFrame, pa.table])
def test_what_does_not_fit_is_named(table, change, told):
    with pytest.raises(ValueError, match=told):
        EventBatch.from_frame(table(ROWS), **TYPED | change)


@pytest.mark.parametrize("table", [pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize("column", ["video", "hours", "event"])
def test_an_empty_cell_is_named(table, column):
    rows = ROWS | {column: [*ROWS[column][:2], None, ROWS[column][3]]}
    with pytest.raises(ValueError, match=f"column '{column}' is empty in row 2"):
        EventBatch.from_frame(table(rows), **TYPED)


def test_both_formats_of_easytpp():
    events = [
        [
            {"time_since_start": 0.0, "time_since_last_event": 0.0, "type_event": 3},
            {"time_since_start": 2.0, "type_event": 1},
        ],
        [],
    ]
    lists = [
        {"time_since_start": [0.0, 2.0], "type_event": [3, 1], "seq_len": 2},
        {"time_since_start": [], "type_event": []},
    ]
    for records in (events, lists):
        batch = EventBatch.from_easytpp(records)
        assert batch.times[0].tolist() == [0.0, 2.0] and batch.types[0].tolist() == [3, 1]
        assert batch.t_end.tolist() == [2.0, 0.0]
    for wrong in ([{"time": [1.0]}], [[{"time_since_start": 1.0}]], [[1.0]]):
        with pytest.raises(ValueError, match="sequence 0 is no EasyTPP record"):
            EventBatch.from_easytpp(wrong)


def test_realisations_of_tick():
    batch = EventBatch.from_tick([[[0.5, 2.0], [1.0]], [[], [4.0]]], end_times=[3.0, 5.0])
    assert batch.times.tolist() == [[0.5, 1.0, 2.0], [4.0, 5.0, 5.0]]
    assert batch.types[0].tolist() == [0, 1, 0] and batch.types[1, 0] == 1
    assert EventBatch.from_tick([[0.5, 2.0], [1.0]], 3.0).types.tolist() == [[0, 1, 0]], "one realisation"
    for timestamps, ends, told in (
        ([[[1.0]], [[1.0], []]], None, r"the same number of nodes; given \[1, 2\]"),
        ([[[1.0]]], [2.0, 3.0], "one entry per realisation; given 2 for 1"),
    ):
        with pytest.raises(ValueError, match=told):
            EventBatch.from_tick(timestamps, ends)
