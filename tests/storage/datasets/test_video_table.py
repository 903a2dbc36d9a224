"""Tables of videos as scrapers write them: counts in the same row, items twice, authors, usual columns, named features."""

import gzip
import io
import json
import zipfile

import polars as pl
import pytest

from storage.datasets import DatasetError, open_dataset

T = 1_704_103_200_000
HOUR = 3_600_000
SCRAPED = """video_id;channelId;channelTitle;title;publishedAt;view_count;likes;duration;tags;scraped at;subscriber_count;mood
x1;c1;C One;"Hello; world";2024-01-01T10:00:00Z;1.2K;10;PT1M3S;#a #b;2024-01-02 10:00;1.5M;3
x2;c2;C Two;Second;2024-01-01T11:00:00Z;541;;0:45;;2024-01-02 10:00;20;4
x1;c1;C One;Edited;2024-01-01T10:00:00Z;1.1K;12;PT1M3S;#a #b;2024-01-03 10:00;1.6M;5
"""


def notes(dataset) -> str:
    return "\n".join(note.text for note in dataset.notes)


def problem(folder, **options) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder, **options)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def test_one_table_of_scraped_videos_is_a_data_set(write):
    dataset = open_dataset(write({"videos.csv": SCRAPED}))
    assert dataset.videos.select("item", "title", "author", "published_at").rows() == [
        ("x1", "Hello; world", "c1", T), ("x2", "Second", "c2", T + HOUR),
    ]  # fmt: skip
    assert dataset.counters.rows() == [
        ("x1", "like", T + 24 * HOUR, 10), ("x1", "like", T + 48 * HOUR, 12),
        ("x1", "view", T + 24 * HOUR, 1200), ("x1", "view", T + 48 * HOUR, 1200), ("x2", "view", T + 24 * HOUR, 541),
    ]  # fmt: skip
    assert dataset.details.select("duration", "hashtags").rows() == [(63.0, "#a #b"), (45.0, None)]
    assert dataset.authors.rows() == [
        ("c1", T + 24 * HOUR, 1.5e6),
        ("c1", T + 48 * HOUR, 1.6e6),
        ("c2", T + 24 * HOUR, 20.0),
    ]
    assert dataset.further["videos"].columns == ["item", "channelTitle", "mood"]


def test_every_assumption_is_told(write):
    told = notes(open_dataset(write({"videos.csv": SCRAPED})))
    for words in (
        "the separator is ';', 'video_id' is read as item, 'channelId' is read as author, 'tags' is read as hashtags",
        "'view_count' is read as view, 'likes' is read as like",
        "'1.2K' is read as 1,200",
        "'subscriber_count' is read as the author's followers",
        "1 rows repeat an item and are further counts of it; their title differ, and the earliest value is used",
        "the data end at 2024-01-03 10:00:00 UTC, the last count",
    ):
        assert told.count(words) == 1, words


def test_an_item_twice_without_a_time_of_the_counts(write):
    dataset = open_dataset(write({"videos.csv": "item,views\na,3\na,5\nb,1\n"}), as_of=T)
    assert dataset.counters.rows() == [("a", "view", None, 5), ("b", "view", None, 1)]
    assert "1 of 3 counts differ from a larger one" in notes(dataset)


@pytest.mark.parametrize(
    "header, told",
    [
        ("item,timestamp,views", "'timestamp' may be the time of publication or the time at which the row was taken"),
        ("item,user_id,channel_id,views", "columns 'user_id' and 'channel_id' may each be author"),
        ("item,view_count,views,x", "columns 'view_count' and 'views' may each be the counter view"),
    ],
)
def test_two_readings_are_refused_and_both_are_named(write, header, told):
    row = ",".join(["1"] * len(header.split(",")))
    assert told in problem(write({"videos.csv": f"{header}\n{row}\n"}))


def test_a_plain_time_has_the_role_that_is_left(write):
    rows = "item,published_at,timestamp,views\na,2024-01-01,2024-01-02,7\n"
    assert open_dataset(write({"videos.csv": rows})).counters["time"].to_list() == [T + 14 * HOUR]
    rows = rows.replace("timestamp", "scraped_at").replace("published_at", "timestamp")
    dataset = open_dataset(write({"videos.csv": rows}))
    assert dataset.videos["published_at"].to_list() == [
        T - 10 * HOUR
    ] and "'timestamp' is read as published_at" in notes(dataset)


def test_json_lines_with_nested_objects(write):
    row = {
        "id": "7", "desc": "my #cat", "createTime": T // 1000, "author": {"id": "u", "followerCount": 5},
        "stats": {"playCount": 10, "diggCount": 2}, "challenges": [{"name": "cat"}],
    }  # fmt: skip
    dataset = open_dataset(write({"videos.jsonl": json.dumps(row) + "\n"}))
    assert dataset.videos.select("item", "title", "author", "published_at").rows() == [("7", "my #cat", "u", T)]
    assert dataset.counters.select("metric", "value").rows() == [("like", 2), ("play", 10)]
    assert dataset.authors.rows() == [("u", None, 5.0)]
    assert "'authors.csv'" not in notes(dataset)
    for text, told in [
        ("{", "cannot be read as one JSON object per line"),
        ('[{"id": 1}]', "cannot be read as one JSON object per line"),
        ('{"id": 1, "a": {"b": 1}, "a.b": 2}', "cannot be read as one JSON object per line"),
        (" ", "the file is empty; one JSON object per line is needed"),
    ]:
        assert told in problem(write({"videos.jsonl": text}))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda rows: rows,
        lambda rows: {"total": 2, "items": rows},
        lambda rows: {name: {str(n): row[name] for n, row in enumerate(rows)} for name in rows[0]},
    ],
)
def test_a_list_of_json_objects(write, wrapped):
    rows = [
        {"id": "7", "desc": "a", "stats": {"playCount": 10}, "challenges": [{"title": "cat"}, {"title": "dog"}]},
        {"id": "9007199254740993", "desc": "b", "stats": {"playCount": 3}, "challenges": []},
    ]
    dataset = open_dataset(write({"videos.json": json.dumps(wrapped(rows), indent=2)}))
    assert dataset.counters.select("item", "value").rows() == [("7", 10), ("9007199254740993", 3)]
    assert dataset.details["hashtags"].to_list() == ["cat dog", ""]
    assert "the file is empty; a list of JSON objects is needed" in problem(write({"videos.json": "[]"}))


def test_numbered_columns_are_one_list_of_hashtags(write):
    rows = "id,hashtags/0/name,hashtags/1/name,views\na,cat,dog,1\nb,,,2\nc,cow,,3\n"
    dataset = open_dataset(write({"videos.csv": rows}))
    assert dataset.details["hashtags"].to_list() == ["cat dog", None, "cow"]
    assert "videos" not in dataset.further


def test_an_address_is_the_item_if_there_is_no_other(write):
    rows = "{}url,caption,posted,views\n{}https://x/v/1,One,2024-01-01,1\n"
    assert open_dataset(write({"videos.csv": rows.format("", "")})).videos.row(0)[0] == "https://x/v/1"
    assert open_dataset(write({"videos.csv": rows.format("id,", "a,")})).videos.row(0)[::5] == ("a", T - 10 * HOUR)


def test_compressed_tables(write):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("scraped.csv", SCRAPED)
    dataset = open_dataset(write({"videos.csv.zip": archive.getvalue()}))
    (dataset.folder / "videos.csv.zip").unlink()
    again = open_dataset(write({"videos.csv.gz": gzip.compress(SCRAPED.encode())}))
    assert dataset.counters.equals(again.counters)
    (dataset.folder / "videos.csv.gz").unlink()
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("second.csv", SCRAPED)
    assert "a spreadsheet or a zip archive of several files" in problem(write({"videos.csv.zip": archive.getvalue()}))


def test_named_columns_become_features(write):
    folder = write({"videos.csv": SCRAPED})
    dataset = open_dataset(folder, features=["mood", "channelTitle", "likes"])
    assert dataset.features.rows() == [("x1", 3.0, "C One", 10.0), ("x2", 4.0, "C Two", None)]
    assert dataset.features.columns == ["item", "mood", "channelTitle", "likes"]
    assert dataset.features.schema["mood"] == pl.Float64
    assert dataset.counters["metric"].unique().to_list() == ["view"]
    assert open_dataset(folder, features=["Mood:category"]).features.rows() == [("x1", "3"), ("x2", "4")]
    assert "no column 'tempo', which data.features names; its columns are video_id, channelId" in problem(
        folder, features=["tempo"]
    )


@pytest.mark.parametrize(
    "name, values, seconds",
    [
        ("duration", ["15.033", "7.25"], [15.033, 7.25]),
        ("duration", ["15033", "12000"], [15.033, 12.0]),
        ("duration_ms", ["1500", ""], [1.5, None]),
        ("length", ["PT1M3S", "1:03"], [63.0, 63.0]),
        ("duration", ["1:00:00", "long"], [3600.0, None]),
        ("duration", ["31s", "1m 3s", "2 min", "1h2m", "7.5 sec"], [31.0, 63.0, 120.0, 3720.0, 7.5]),
        ("duration (s)", ["31", "7"], [31.0, 7.0]),
    ],
)
def test_durations(write, name, values, seconds):
    rows = "".join(f"{row},1,{value}\n" for row, value in enumerate(values))
    dataset = open_dataset(write({"videos.csv": f"item,views,{name}\n{rows}"}), as_of=T)
    assert dataset.details["duration"].to_list() == seconds
    assert ("1 values of duration cannot be read" in notes(dataset)) == ("long" in values)


def test_a_feature_of_fractions(write):
    folder = write({"videos.csv": "item,views,share,code\na,1,0.125,1.234\nb,2,,x\n"})
    assert open_dataset(folder, as_of=T, features=["share", "code"]).features.rows() == [
        ("a", 0.125, "1.234"),
        ("b", None, "x"),
    ]


def test_statistics_of_authors(write):
    files = {
        "videos.csv": "item,author,views\na,u,3\n",
        "authors.csv": "user_id,fans,posts,name\nu,1.5K,2,Eve\nv,,3,Al\n",
    }
    dataset = open_dataset(write(files), as_of=T)
    assert dataset.authors.rows() == [("u", None, 1500.0, 2.0), ("v", None, None, 3.0)]
    assert "authors.csv: no column time, so it is unknown when the statistics were taken" in notes(dataset)
    assert "author u is given twice" in problem(write({"authors.csv": "author,fans\nu,1\nu,2\n"}))
    assert "no column of numbers among author, name" in problem(write({"authors.csv": "author,name\nu,x\n"}))


def test_named_features_of_the_microlens_layout(write):
    pairs = f"user,item,timestamp\nu,1,{T}\nu,2,{T}\n"
    folder = write({"a_pairs.csv": pairs, "a_published.csv": f"item,published_at,mood\n1,{T},sad\n"})
    assert open_dataset(folder, features=["mood"]).features.rows() == [("1", "sad"), ("2", None)]
    (folder / "a_published.csv").unlink()
    assert "there is no a_published.csv" in problem(folder, features=["mood"])
