"""Progress says how much is done, how fast, and how long it will take."""

import logging

import pytest

from assets.engine.progress import Progress, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.21, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (float("inf"), "unknown time")],
)
def test_durations_as_a_person_writes_them(seconds, text):
    assert duration(seconds) == text


def test_items_rate_time_left_and_failures(monkeypatch, caplog):
    clock = iter([0.0, 1.0, 10.0, 12.0])
    monkeypatch.setattr("assets.engine.progress.time.monotonic", lambda: next(clock))
    progress = Progress(logging.getLogger("progress"), "frames", 100)
    with caplog.at_level(logging.INFO):
        progress.advance(1)
        progress.advance(19, failed=2)
        progress.finish()
    assert caplog.messages == [
        "frames: 20 of 100 items, 2.0/s, 40.0 s left, 2 failed",
        "frames: 20 items in 12.0 s, 1.7/s, 2 failed",
    ]


def test_missing_rows_tell_nothing_of_the_time_left(monkeypatch, caplog):
    clock = iter([0.0, 5.0, 10.0])
    monkeypatch.setattr("assets.engine.progress.time.monotonic", lambda: next(clock))
    progress = Progress(logging.getLogger("progress"), "audio_captions", 10_000)
    with caplog.at_level(logging.INFO):
        progress.advance(9_000, missing=9_000)
        progress.advance(100)
    assert caplog.messages == [
        "audio_captions: 9000 of 10000 items, 0.0/s, unknown time left",
        "audio_captions: 9100 of 10000 items, 10.0/s, 1 min 30 s left",
    ]
