"""Counters in each of their forms, and the rule for each kind of odd count."""

import math
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.datasets import DatasetError, open_dataset
from storage.datasets.dataset import COUNTERS

T = 1_700_000_000_000
DAY = 86_400_000
VIDEOS = f"item,title,published_at\na,A,{T}\nb,B,{T}\n"


def read(write, counters: str, **files: str):
    return open_dataset(write({"videos.csv": VIDEOS, "counters.csv": counters, **files}))


def problem(folder, **options) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder, **options)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def warnings(dataset) -> list[str]:
    return [note.text for note in dataset.notes if note.severity == "warning"]


WIDE = f"item,time,views,likes\nb,{T + 1},7,\na,{T + 2},9,1\na,{T + 1},5,1\n"
ROWS = [
    ("a", "like", T + 1, 1),
    ("a", "like", T + 2, 1),
    ("a", "view", T + 1, 5),
    ("a", "view", T + 2, 9),
    ("b", "view", T + 1, 7),
]


def test_wide_and_long_tables_hold_the_same(write):
    wide = read(write, WIDE)
    assert wide.counters.schema == COUNTERS and wide.counters.rows() == ROWS
    assert wide.events.is_empty() and wide.as_of == T + 2
    long = "item,time,metric,value\n" + "".join(f"{i},{time},{metric}s,{value}\n" for i, metric, time, value in ROWS)
    assert read(write, long).counters.rows() == ROWS


def test_parquet_with_timestamps_and_missing_values(write, tmp_path):
    moment = datetime.fromtimestamp(T / 1000, UTC)
    write({"videos.csv": VIDEOS})
    pl.DataFrame({"item": ["a", "b"], "time": [moment, moment], "views": [1.0, None]}).write_parquet(
        tmp_path / "counters.parquet"
    )
    assert open_dataset(tmp_path).counters.rows() == [("a", "view", T, 1)]


def test_a_table_without_times_holds_final_counts(write):
    dataset = read(write, "item,views\na,5\nb,6\n")
    assert dataset.counters.rows() == [("a", "view", None, 5), ("b", "view", None, 6)]
    assert dataset.as_of == T
    assert any("taken to end at 2023-11-14 22:13:20 UTC, the last publication" in text for text in warnings(dataset))


def test_the_end_of_the_data_is_the_last_count_or_event_and_told_as_a_date(write):
    folder = write({"videos.csv": VIDEOS, "counters.csv": WIDE, "events.csv": f"item,time\na,{T + 10}\n"})
    dataset = open_dataset(folder)
    assert dataset.as_of == T + 10 and dataset.counters.rows() == ROWS
    assert any("the data end at 2023-11-14 22:13:20 UTC, the last event" in note.text for note in dataset.notes)
    assert open_dataset(folder, as_of=T + 1).counters.height == 3
    stray = WIDE + f"a,{T + 400 * DAY},10,1\n"
    dataset = read(write, stray)
    assert dataset.as_of == T + 10
    assert any("2 of 7 counts are after 2023-11-14" in text and "line 5 (item a" in text for text in warnings(dataset))


@pytest.mark.parametrize(
    "rows, kept, told",
    [
        ([(0, 5), (1, -3), (2, 8)], [(0, 5), (2, 8)], "1 of 3 counts are negative and are left out"),
        ([(0, 5), (1, 3), (2, 4), (3, 9)], [(0, 5), (1, 5), (2, 5), (3, 9)], "2 of 4 counts are below an earlier one"),
        ([(0, 2.5), (1, 3.2)], [(0, 3), (1, 3)], "2 of 2 counts are fractions and are rounded"),
        ([(-1, 1), (1, 3)], [(1, 3)], "1 of 2 counts were taken before their item's publication"),
        (
            [(1, 3), (1, 4), (1, 4), (1, 3)],
            [(1, 4)],
            "2 of 4 counts differ from a larger one of the same item and time",
        ),
    ],
)
def test_the_rule_of_each_kind_of_odd_count(write, rows, kept, told):
    dataset = read(write, "item,time,views\n" + "".join(f"a,{T + time},{value}\n" for time, value in rows))
    assert dataset.counters.rows() == [("a", "view", T + time, value) for time, value in kept]
    assert [
        told in text and "counters.csv, line " in text and "(item a, view" in text for text in warnings(dataset)
    ] == [True]


def slow_reading(rows: list[tuple[str, int | None, float]]) -> list[tuple[str, str, int | None, int]]:
    """The documented rules, one row at a time; items are published at T and no count is after the end of the data."""
    kept: dict[tuple[str, int | None], int] = {}
    for item, time, value in rows:
        if value >= 0 and (time is None or time >= T):
            kept[item, time] = max(kept.get((item, time), 0), math.floor(value + 0.5))
    cleaned, so_far = [], {}
    for item, time in sorted(kept, key=lambda key: (key[0], math.inf if key[1] is None else key[1])):
        so_far[item] = max(so_far.get(item, 0), kept[item, time])
        cleaned.append((item, "view", time, so_far[item]))
    return cleaned


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.none() | st.integers(T - 2, T + 5),
            st.integers(-4, 12).map(lambda quarter: quarter / 4),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_counts_equal_a_slow_reading(write, rows):
    text = "item,time,views\n" + "".join(f"{item},{time or ''},{value}\n" for item, time, value in rows)
    expected = slow_reading(rows)
    folder = write({"videos.csv": VIDEOS, "counters.csv": text})
    if expected:
        assert open_dataset(folder, as_of=T + 5).counters.rows() == expected
    else:
        assert "no count can be used" in problem(folder, as_of=T + 5)


def test_a_final_count_is_not_below_a_count_with_a_time(write):
    assert read(write, f"item,time,views\na,,3\na,{T},4\n").counters.rows() == [
        ("a", "view", T, 4),
        ("a", "view", None, 4),
    ]


def test_a_later_count_changes_no_earlier_one(write):
    text = f"item,time,views\na,{T},4\na,{T + 1},2\n"
    before = read(write, text).counters.rows()
    assert read(write, text + f"a,{T + 2},1\na,{T + 3},-7\na,{T + 4},100\n").counters.rows()[:2] == before


def test_counts_of_items_in_no_list_are_kept_and_told(write):
    dataset = read(write, f"item,time,views\na,{T},4\nz,{T},1\n")
    assert dataset.videos["item"].to_list() == ["a", "b", "z"] and dataset.counters["item"].to_list() == ["a", "z"]
    assert any(
        "1 of 2 counts belong to 1 items that are in no list, such as 'z'" in note.text for note in dataset.notes
    )


def test_counters_alone_are_a_data_set(write):
    dataset = open_dataset(write({"counters.csv": WIDE}))
    assert dataset.videos["item"].to_list() == ["a", "b"] and dataset.counters.rows() == ROWS


def test_counters_of_the_microlens_layout(write):
    dataset = open_dataset(write({"m_counters.csv": WIDE, "m_title_en.csv": "a,A\n"}))
    assert (dataset.layout, dataset.prefix) == ("microlens", "m")
    assert dataset.counters.rows() == ROWS and dataset.videos["title"].to_list() == ["A", None]


@pytest.mark.parametrize(
    "counters, told",
    [
        ("item,time\na,1700000000000\n", "no column of counts among item, time"),
        ("item,views\n", "there are no counts"),
        ("item,views\na,many\n", "counters.csv, line 2: views is 'many', must be a count"),
        ("item,views,view_count\na,1,1\n", "columns 'views' and 'view_count' may each be the counter view"),
        ("item,time,value\na,1700000000000,1\n", "column 'value' is read as value, but there is no column metric"),
        ("item,views\na,1.234\n", "views: '1.234' is 1234 or the fraction 1.234"),
        ("item,views\na,99999999999999999999\n", "must be a count"),
        ("title,views\nA,1\n", "no column item among title, views"),
        ("item,video_time,timestamp,datetime,views\na,1,1,1,1\n", "'timestamp' and 'datetime' may each be time"),
        ("item,time,views\na,03/04/2024,1\n", "2024-04-03 (day/month/year) or 2024-03-04 (month/day/year)"),
        ("item,time,views\na,1700000000000,-1\n", "no count can be used"),
    ],
)
def test_what_is_refused(write, counters, told):
    assert told in problem(write({"videos.csv": VIDEOS, "counters.csv": counters}))


@pytest.mark.parametrize(
    "column, metric",
    [
        ("View Count", "view"), ("viewCount", "view"), ("statistics.viewCount", "view"), ("stats/play_count", "play"),
        ("digg_count", "like"), ("n_likes", "like"), ("number_of_comments", "comment"), ("replies", "reply"),
        ("collectCount", "save"), ("video_shares", "share"), ("total_loops", "loop"), ("retweets", "retweet"),
        ("Views (total)", "view"), ("# likes", "like"), ("play_cnt", "play"), ("No. of views", "view"),
    ],
)  # fmt: skip
def test_usual_names_of_counters(write, column, metric):
    dataset = open_dataset(write({"videos.csv": f"item,{column}\na,5\n"}), as_of=T)
    assert dataset.counters.rows() == [("a", metric, None, 5)]
    assert any(f"'{column}' is read as {metric}" in note.text for note in dataset.notes)


@pytest.mark.parametrize(
    "text, value",
    [
        ("541.2K", 541_200),
        ("1.2M", 1_200_000),
        ('"1,234,567"', 1_234_567),
        ("3 456", 3456),
        ("2万", 20_000),
        ("1e3", 1000),
    ],
)
def test_numbers_as_people_write_them(write, text, value):
    dataset = read(write, f"item,time,plays\na,{T},{text}\nb,{T},7\n")
    assert dataset.counters["value"].to_list() == [value, 7]
    assert any("'plays' is read as play" in note.text for note in dataset.notes)
    assert any(f"is read as {value:,}" in note.text for note in dataset.notes)


def test_columns_that_describe_items_are_no_counters(write):
    dataset = read(write, f"item,time,duration,title,watch_hours\na,{T},9,x,4\n")
    assert dataset.counters.rows() == [("a", "watch_hours", T, 4)]
    assert any(
        "duration, title describe items and are not read here; put them into videos.csv" in t for t in warnings(dataset)
    )


def test_columns_of_types_that_are_no_numbers(write, tmp_path):
    write({"videos.csv": VIDEOS})
    moment = datetime.fromtimestamp(T / 1000, UTC)
    frame = pl.DataFrame({"item": ["a"], "time": [moment], "views": [3], "camera": ["7D"], "marks": [[1]]})
    frame.with_columns(pl.col("camera").cast(pl.Categorical)).write_parquet(tmp_path / "counters.parquet")
    dataset = open_dataset(tmp_path)
    assert dataset.counters.rows() == [("a", "view", T, 3)]
    assert any("further columns, which no stage reads: camera, marks" in note.text for note in dataset.notes)
    frame.with_columns(views=pl.col("marks")).write_parquet(tmp_path / "counters.parquet")
    assert "counters.parquet: views: its values are List(Int64); write whole numbers" in problem(tmp_path)


def test_a_column_of_fractions_is_no_counter_and_told(write):
    dataset = read(write, f"item,time,views,engagement_rate\na,{T},9,0.03\n")
    assert dataset.counters["metric"].to_list() == ["view"]
    assert any("further columns, which no stage reads: engagement_rate" in note.text for note in dataset.notes)


def test_the_decimal_mark_of_one_column_is_that_of_the_table(write):
    rows = "item;views;likes\na;1.234.567;6.873\nb;12;1.000\n"
    assert open_dataset(write({"counters.csv": rows})).counters["value"].to_list() == [6873, 1_234_567, 1000, 12]
    assert "Likes" not in rows and "is 6873 or the fraction" in problem(
        write({"counters.csv": rows.replace("1.234.567", "1234567")})
    )


@pytest.mark.parametrize("text, value", [("1.2M views", 1_200_000), ("1,234 Likes", 1234), ("1 comment", 1)])
def test_a_word_for_what_is_counted_may_follow_the_number(write, text, value):
    assert open_dataset(write({"videos.csv": f'item,views\na,"{text}"\n'})).counters["value"].to_list() == [value]
