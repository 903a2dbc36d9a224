"""What is said about one video, before anything is decoded or loaded."""

import polars as pl
import pytest

from pipeline.predicting.folder import folder_requests
from pipeline.predicting.request import Request, WrongVideo

START = 1_780_000_000_000
HOUR = 3_600_000


@pytest.mark.parametrize(
    "known, told",
    [
        ({}, "nothing is known"),
        ({"title": "  "}, "nothing is known"),
        ({"video": "no.mp4"}, "no.mp4: does not exist"),
        ({"video": "."}, "is not a file"),
        ({"title": "a", "published": "soon"}, "published: 'soon' is not a time"),
        ({"title": "a", "at": START}, "needs the feedback up to then"),
        ({"feedback": "f.csv", "published": START, "at": START - 1}, "is before the publication"),
    ],
)
def test_what_cannot_be_forecast_is_refused_before_any_work(known, told):
    with pytest.raises(WrongVideo, match=told):
        Request(**known).check()


def test_without_feedback_the_forecast_is_made_at_publication():
    feedback = Request(title="a", published=START).read_feedback([], [])
    assert feedback.end == START and feedback.events.is_empty()


@pytest.mark.parametrize(
    "frame, known, told",
    [
        ({"moment": [START]}, {}, "needs an integer column time"),
        ({"time": [START], "type": ["love"]}, {}, "type 'love' .* allowed are comment"),
        ({"time": [START]}, {"published": START + 1}, "is before the publication"),
        ({"time": [START]}, {"at": START - 1}, "is before the first event"),
        ({"time": []}, {}, "there are no events"),
    ],
)
def test_a_frame_of_events_is_checked_like_a_file(frame, known, told):
    events = pl.DataFrame(frame, schema_overrides={"time": pl.Int64} if "time" in frame else {})
    with pytest.raises(WrongVideo, match=told):
        Request(feedback=events, **known).read_feedback(["comment"], [])


def test_a_frame_of_events_is_cut_and_sorted():
    events = pl.DataFrame({"time": [START + 2, START + 1, START + 9], "user": ["a", "b", "c"]})
    feedback = Request(feedback=events, at=START + 5, item="v").read_feedback(["comment"], [])
    assert feedback.events.select("item", "user", "time", "order").rows() == [
        ("v", "b", START + 1, 0),
        ("v", "a", START + 2, 1),
    ]


def test_a_folder_has_one_request_per_media_file(tmp_path):
    for name in ("b10.mp4", "b2.mp4", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b2.csv").write_text(f"time\n{START}\n")
    (tmp_path / "videos.csv").write_text("item,title,author,published_at\nb10,Cats,anna,2026-05-28\n")
    first, second = folder_requests(tmp_path, at="2026-06-01")
    assert (first.name, first.feedback, first.at) == ("b2", tmp_path / "b2.csv", "2026-06-01")
    assert (second.name, second.title, second.author, second.at) == ("b10", "Cats", "anna", None)
    assert second.published == 1_779_926_400_000


def test_a_folder_without_media_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(WrongVideo, match="no media file"):
        folder_requests(tmp_path, at=None)


def test_a_name_that_is_too_long_for_a_file_is_one_line():
    with pytest.raises(WrongVideo, match="does not exist; give one media file"):
        Request(video="x" * 300 + ".mp4").check()
