from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.datasets import DatasetError, open_dataset

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
T = 1_600_000_000_000
VIDEOS = "item,title\na,A title\nb,\n"
EVENTS = f"item,time,user,type\na,{T},u,like\nc,{T + 5},,\n"


def problem(folder) -> str:
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def test_csv(write):
    dataset = open_dataset(write({"videos.csv": VIDEOS, "events.csv": EVENTS, "files/c.mkv": b"x"}))
    assert (dataset.layout, dataset.prefix) == ("plain", None)
    assert dataset.videos.select("item", "title").rows() == [("a", "A title"), ("b", None), ("c", None)]
    assert dataset.videos["path"].to_list() == [None, None, str(dataset.folder / "files" / "c.mkv")]
    assert dataset.events.rows() == [("a", "u", "like", T), ("c", None, "comment", T + 5)]


def test_a_folder_may_have_brackets_in_its_name(write):
    folder = write({"[2026] set */videos.csv": VIDEOS, "[2026] set */events.csv": EVENTS}) / "[2026] set *"
    dataset = open_dataset(folder)
    assert dataset.videos["item"].to_list() == ["a", "b", "c"]
    dataset.videos.select("item", "title").write_parquet(folder / "videos.parquet")
    (folder / "videos.csv").unlink()
    assert open_dataset(folder).videos.equals(dataset.videos)


def test_parquet_with_timestamps_and_integer_ids(write, tmp_path):
    moment = datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)
    pl.DataFrame({"item": [10, 9], "published_at": [moment, None], "author": ["x", None]}).write_parquet(
        tmp_path / "videos.parquet"
    )
    pl.DataFrame({"item": [9, 10], "time": [moment, moment]}).write_parquet(tmp_path / "events.parquet")
    dataset = open_dataset(tmp_path)
    assert dataset.videos["item"].to_list() == ["9", "10"]
    assert dataset.videos["published_at"].to_list() == [None, T]
    assert dataset.videos["author"].to_list() == [None, "x"]
    assert dataset.events["time"].to_list() == [T, T]


def test_quoted_titles_and_paths(write):
    folder = write(
        {
            "videos.csv": 'item,path,title\n1,clips/x.avi,"one, two ""three"""\n2,clips/absent.avi,\n',
            "events.csv": EVENTS,
            "clips/x.avi": b"",
        }
    )
    dataset = open_dataset(folder)
    first = dataset.videos.row(0, named=True)
    assert (first["path"], first["title"]) == (str(folder / "clips" / "x.avi"), 'one, two "three"')
    assert any("absent.avi" in note.text and note.severity == "warning" for note in dataset.notes)


@pytest.mark.parametrize(
    "text, ms",
    [
        ("2020-09-13T12:26:40Z", T),
        ("2020-09-13 12:26:40", T),
        ("2020-09-13T14:26:40+02:00", T),
        ("2020-09-13T12:26:40.123456Z", T + 123),
        ("2020-09-13", T - 44_800_000),
        (str(T), T),
        (f"{T}.0", T),
        (str(T // 1000), T),
        (str(T * 1000), T),
        (str(T * 10**6), T),
        ("20200913", T - 44_800_000),
        ("2020/09/13 12:26:40", T),
        ("13/09/2020 12:26:40", T),
        ("9/13/2020 12:26", T - 40_000),
        ("13.09.2020", T - 44_800_000),
        ("Sep 13, 2020", T - 44_800_000),
        ("2020-9-13 12:26 PM", T - 40_000),
        ("Sep 13, 2020, 12:26 PM", T - 40_000),
        ("Sunday, September 13, 2020", T - 44_800_000),
        ("Sep. 13, 2020", T - 44_800_000),
        ("13-Sep-20", T - 44_800_000),
        ("2020年9月13日", T - 44_800_000),
        (f"{T // 1000}.25", T + 250),
        ("Sun Sep 13 12:26:40 +0000 2020", T),
        ("Sun, 13 Sep 2020 12:26:40 GMT", T),
    ],
)
def test_forms_of_times(write, text, ms):
    dataset = open_dataset(write({"videos.csv": "item\na\n", "events.csv": f'item,time\na,"{text}"\n'}))
    assert dataset.events["time"].to_list() == [ms]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=ZONES),
        min_size=1,
        max_size=20,
    )
)
def test_iso_times_come_back(write, moments):
    text = "item,time\n" + "".join(f"{row},{moment.isoformat()}\n" for row, moment in enumerate(moments))
    events = open_dataset(write({"videos.csv": "item\n0\n", "events.csv": text}), as_of=4_200_000_000_000).events
    expected = [round(moment.timestamp() * 1000) for moment in moments]
    assert events["time"].to_list() == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    "files, words",
    [
        ({"videos.csv": VIDEOS}, "no events.csv or events.parquet"),
        ({"videos.csv": "title\na\n", "events.csv": EVENTS}, "no column item"),
        ({"videos.csv": "item\na\na\n", "events.csv": EVENTS}, "videos.csv, line 3: item a is given twice"),
        ({"videos.csv": "item,title\n,x\n", "events.csv": EVENTS}, "videos.csv, line 2: item is empty"),
        ({"videos.csv": VIDEOS, "events.csv": "item,time\n"}, "there are no events"),
        ({"videos.csv": VIDEOS, "events.csv": "item,time\na,yesterday\n"}, "line 2: time is 'yesterday'"),
        ({"videos.csv": VIDEOS, "events.csv": "item,time\na,\n"}, "line 2: time is empty"),
        ({"videos.csv": VIDEOS, "events.csv": "item,time\na,60000\n"}, "column is in seconds"),
        ({"videos.csv": "item,published_at\na,60000\n", "events.csv": EVENTS}, "column is in seconds"),
        ({"videos.csv": VIDEOS, "events.csv": EVENTS, "files/a.mp4": b"", "files/a.avi": b""}, "two files for item a"),
        ({"videos.csv": VIDEOS, "events.csv": EVENTS, "x_pairs.csv": "user"}, "are both there"),
    ],
)
def test_what_is_refused(write, files, words):
    assert words in problem(write(files))


def test_both_formats_of_one_file(write, tmp_path):
    write({"videos.csv": VIDEOS, "events.csv": EVENTS})
    pl.read_csv(tmp_path / "events.csv").write_parquet(tmp_path / "events.parquet")
    assert "events.csv and events.parquet are both there" in problem(tmp_path)


def test_parquet_that_is_none(write):
    assert "events.parquet" in problem(write({"videos.csv": VIDEOS, "events.parquet": b"not parquet"}))


def test_fractions_of_a_millisecond_in_parquet_name_the_row(write, tmp_path):
    write({"videos.csv": VIDEOS})
    pl.DataFrame({"item": ["a"], "time": [1.6e12 + 0.5]}).write_parquet(tmp_path / "events.parquet")
    assert "events.parquet, row 1: time is 1600000000000.5, must be integer" in problem(tmp_path)


def test_whole_floating_point_times_in_parquet(write, tmp_path):
    write({"events.csv": EVENTS})
    pl.DataFrame({"item": ["a", "b"], "published_at": [T / 1000, None]}).write_parquet(tmp_path / "videos.parquet")
    assert open_dataset(tmp_path).videos["published_at"].to_list() == [T, None, None]
