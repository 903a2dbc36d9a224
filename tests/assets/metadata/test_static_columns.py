"""Each static column on hand-made facts."""

import polars as pl
import pytest

from assets.metadata.static_columns import FACTS, TYPES, static_columns


def value(name: str, zone: str = "UTC", **facts: object) -> object:
    column = static_columns(zone)[name]
    frame = pl.DataFrame([facts], schema=FACTS)
    return frame.select(column.value.cast(TYPES[column.kind])).item()


@pytest.mark.parametrize(
    ("name", "facts", "expected"),
    [
        ("hour", {"t0": 0}, 0.0),
        ("hour", {"t0": 0, "zone": "America/New_York"}, 19.0),
        ("hour", {"t0": 1_750_000_000_000, "zone": "Europe/Berlin"}, 17.0),  # 15:06 UTC, summer time
        ("weekday", {"t0": 0}, 3.0),  # a Thursday
        ("weekday", {"t0": 0, "zone": "America/New_York"}, 2.0),
        ("hour", {"t0": None}, None),
        ("has_sound", {"has_audio": False}, 0.0),
        ("has_sound", {}, None),
        ("orientation", {"width": 9.0, "height": 16.0}, "portrait"),
        ("orientation", {"width": 16.0, "height": 9.0}, "landscape"),
        ("orientation", {"width": 9.0, "height": 9.0}, "square"),
        ("orientation", {"width": 9.0}, None),
        ("title_length", {"title": "  été!  "}, 4.0),
        ("title_length", {"title": None}, None),
        ("title_words", {"title": "one two, three"}, 3.0),
        ("mention_count", {"title": "@me and @you.too, not mail@example.org"}, 2.0),
        ("hashtag_count", {"title": "nothing"}, 0.0),
        ("hashtag_count", {}, None),
        ("author", {"author": "x"}, "x"),
    ],
)
def test_value(name, facts, expected):
    assert value(name, **facts) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"title": "#Fun #fun #日本 #1 a#b ＃wide"}, ["fun", "日本", "wide"]),
        ({"title": "#a", "description": "see #b"}, ["a", "b"]),
        ({"hashtags": "#x, y"}, ["x", "y"]),
        ({"hashtags": "['x', 'Y']", "title": "#y"}, ["y", "x"]),
        ({"title": "none"}, []),
    ],
)
def test_hashtags(facts, expected):
    assert list(value("hashtags", **facts)) == expected


@pytest.mark.parametrize(
    ("category", "expected"), [("a", ["a"]), ("a / b//c/", ["a", "b", "c"]), ("Film & Animation", ["Film & Animation"])]
)
def test_category_path(category, expected):
    assert list(value("category", category=category)) == expected
