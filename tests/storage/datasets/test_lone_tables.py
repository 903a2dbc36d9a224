"""Folders whose only table has a name of its own."""

import json

import pytest

from storage.datasets import DatasetError, open_dataset
from storage.datasets.lone_tables import role_of

T = 1_704_103_200_000
DAY = 86_400_000
ROWS = "video_id,title,user,created_at,views\na,A,u,2023-12-31T10:00:00Z,{}\nb,B,u,2023-12-31T10:00:00Z,{}\n"


def notes(dataset) -> str:
    return "\n".join(note.text for note in dataset.notes)


@pytest.mark.parametrize(
    "header, role",
    [
        ("user_id,video_id,timestamp", "events"),
        ("user_id,video_id,time_ms,is_click,is_like,duration_ms", "events"),
        ("item,time,type", "events"),
        ("user,item,created_at", "events"),
        ("video_id,timestamp,views,likes", "counters"),
        ("video_id,scraped_at,views_2024-01-01", "counters"),
        ("id,time,metric,value", "counters"),
        ("video_id,title,timestamp,views", "videos"),
        ("video_id,publish_time,trending_date,views", "videos"),
        ("id,views", "videos"),
        ("id,author,scraped_at,views,duration", "videos"),
    ],
)
def test_the_columns_say_what_the_table_is(write, header, role):
    folder = write({"export.csv": f"{header}\n{','.join('1' for _ in header.split(','))}\n"})
    assert role_of(folder / "export.csv")[0] == role


@pytest.mark.parametrize("header", ["id,title,created_at", "userId,itemId,showTime,click"])
def test_a_table_without_counts_and_without_a_time_is_one_problem(write, header):
    row = ",".join("1" for _ in header.split(","))
    with pytest.raises(DatasetError) as caught:
        open_dataset(write({"export.csv": f"{header}\n{row}\n{row}\n"}))
    (problem,) = caught.value.problems
    assert (
        "the only table has neither counts (views, likes, ...) nor a time of events" in problem
        and header[:2] in problem
    )


def test_a_log_of_events(write):
    folder = write({"interactions.csv": f"user_id,video_id,timestamp\nu,a,{T}\nv,a,{T + 5}\nu,b,{T}\n"})
    dataset = open_dataset(folder)
    assert dataset.events.select("item", "user", "time").rows() == [("a", "u", T), ("a", "v", T + 5), ("b", "u", T)]
    assert "interactions.csv is read as the table events: it has a time, and neither counts nor titles" in notes(
        dataset
    )


def test_a_log_of_counts(write):
    dataset = open_dataset(write({"snapshots.jsonl": json.dumps({"video_id": "a", "timestamp": T, "views": 5})}))
    assert dataset.counters.rows() == [("a", "view", T, 5)]


@pytest.mark.parametrize("name", ["2024-01-0{}.csv", "videos_2024010{}.csv", "videos/day=2024-01-0{}/part-0.csv"])
def test_a_file_per_scrape_with_its_date_in_the_name(write, name):
    dataset = open_dataset(write({name.format(2): ROWS.format(5, 6), name.format(3): ROWS.format(8, 5)}))
    assert dataset.counters.rows() == [
        ("a", "view", T + 14 * DAY // 24, 5), ("a", "view", T + 38 * DAY // 24, 8),
        ("b", "view", T + 14 * DAY // 24, 6), ("b", "view", T + 38 * DAY // 24, 6),
    ]  # fmt: skip
    assert "its counts were taken at the dates in its files' names" in notes(dataset)


def test_parts_that_repeat_no_item_are_not_dated_by_their_names(write):
    first, *rows = ROWS.format(5, 6).splitlines()
    parts = {f"videos_2024-01-0{day}.csv": f"{first}\n{row}\n" for day, row in enumerate(rows, start=2)}
    assert open_dataset(write(parts)).counters["time"].to_list() == [None, None]


def test_a_description_file_per_video(write):
    files = {
        f"{name}.info.json": json.dumps(
            {"id": name, "title": "x", "upload_date": "20240101", "view_count": 3, "formats": [{}]}
        )
        for name in ("dQw4", "x-Y")
    }
    dataset = open_dataset(write(files))
    assert dataset.counters.select("item", "value").rows() == [("dQw4", 3), ("x-Y", 3)]


def test_several_tables_are_told_how_to_be_named(write):
    with pytest.raises(
        DatasetError, match=r"no data set found.*of the tables clips.csv, log.csv, name the one with a row"
    ):
        open_dataset(write({"log.csv": "item,time\n", "clips.csv": "item,title\n"}))
