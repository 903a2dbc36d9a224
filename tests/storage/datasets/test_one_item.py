"""Feedback of one video from a file of its own."""

import polars as pl
import pytest

from storage.datasets.errors import DatasetError
from storage.datasets.one_item import read_item_feedback

START = 1_780_000_000_000
HOUR = 3_600_000
TYPES, METRICS = ["comment", "like"], ["view"]


def read(path, text, **options):
    path.write_text(text)
    return read_item_feedback(
        path, "v", **({"published_at": START, "at": None, "types": TYPES, "metrics": METRICS} | options)
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feedback.csv"


def test_events_are_sorted_and_cut_at_the_moment_of_the_forecast(path):
    text = f"time,type,user\n{START + 2 * HOUR},like,a\n{START + HOUR},comment,b\n{START + 5 * HOUR},like,c\n"
    feedback = read(path, text, at=START + 3 * HOUR)
    assert feedback.events["time"].to_list() == [START + HOUR, START + 2 * HOUR]
    assert feedback.events["order"].to_list() == [0, 1]
    assert feedback.events["item"].to_list() == ["v", "v"]
    assert feedback.end == START + 3 * HOUR and feedback.counters.is_empty()
    assert read(path, text).end == START + 5 * HOUR


def test_counts_that_were_read_off_are_counters(path):
    feedback = read(path, f"time,views\n{START + HOUR},10\n{START + 2 * HOUR},30\n")
    assert feedback.events.is_empty()
    assert feedback.counters.select("metric", "value").rows() == [("view", 10), ("view", 30)]


def test_a_moment_with_a_header_alone_says_that_nobody_reacted(path):
    feedback = read(path, "time,type\n", at=START + HOUR)
    assert feedback.events.is_empty() and feedback.end == START + HOUR
    with pytest.raises(DatasetError, match="there are no events; state the moment"):
        read(path, "time,type\n")


@pytest.mark.parametrize(
    "text, options, told",
    [
        ("moment,kind\n1,2\n", {}, "no column of times among moment, kind; allowed are time"),
        (f"time,type\n{START - HOUR},like\n", {}, "feedback.csv, line 2: .* is before the publication"),
        (f"time,type\n{START},like\n{START},love\n", {}, "line 3: type 'love' .* allowed are comment, like"),
        (f"time,shares\n{START},3\n", {}, "line 2: metric 'share' .* allowed are view"),
        ("time\nyesterday\n", {}, "line 2: time is 'yesterday'"),
        (f"time\n{START + HOUR}\n", {"at": START}, "is before its first row"),
        ("", {}, r"feedback.csv: the file is empty$"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(path, text, options, told):
    with pytest.raises(DatasetError, match=told):
        read(path, text, **options)


def test_an_unknown_name_is_told_once_with_its_first_row(path):
    text = "time,shares\n" + "".join(f"{START + n},{n}\n" for n in range(6))
    with pytest.raises(DatasetError) as error:
        read(path, text)
    (told,) = error.value.problems
    assert "line 2: metric 'share'" in told


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        read_item_feedback(tmp_path / "no.csv", "v", published_at=None, at=None, types=TYPES, metrics=METRICS)


def test_parquet_is_read_like_csv(tmp_path):
    pl.DataFrame({"time": [START + HOUR], "event": ["like"]}).write_parquet(tmp_path / "f.parquet")
    feedback = read_item_feedback(tmp_path / "f.parquet", "v", published_at=None, at=None, types=TYPES, metrics=METRICS)
    assert feedback.events.select("type", "time").rows() == [("like", START + HOUR)]
