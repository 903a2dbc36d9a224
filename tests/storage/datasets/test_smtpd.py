"""A table in the form of SMTPD, three videos small."""

import math

import pytest

from storage.datasets import DatasetError, open_dataset

DAY = 86_400_000
VIEWS = {"b": [100 * day for day in range(1, 31)], "a": [7] * 30, "c": [2**day for day in range(1, 31)]}
HEADER = ["video_id", "u1", "u2", "u3", "u4", "user_id", "category", "title", "keyword", "description"]
HEADER += [f"number_{number}" for number in range(5)] + [f"Day {day}" for day in range(1, 31)]


def table(views=VIEWS, header=HEADER, **columns):
    """The CSV; `columns` replace the values of columns by header."""
    lines = [",".join(header)]
    for item, counts in views.items():
        row = dict.fromkeys(header, "")
        row |= {"video_id": item, "user_id": "u", "category": "Music", "title": f"song, {item}", "keyword": "pop"}
        row |= {f"number_{number}": str(number / 2) for number in range(5)}
        row |= {f"Day {day}": str(math.log2(count / day + 1)) for day, count in enumerate(counts, 1)} | columns
        lines.append(",".join(f'"{value}"' if "," in value else value for value in (row[name] for name in header)))
    return "\n".join(lines) + "\n"


def test_daily_scores_are_views_at_days_after_publication(write):
    dataset = open_dataset(write({"basic_view_pn.csv": table(), "img_yt/b.jpg": b"x"}))
    assert dataset.layout == "smtpd"
    assert dataset.videos.select("item", "title", "category", "author").rows() == [
        (item, f"song, {item}", "Music", "u") for item in "abc"
    ]
    assert [path is not None for path in dataset.videos["path"]] == [False, True, False]
    for item, views in VIEWS.items():
        (published,) = dataset.videos.filter(item=item)["published_at"]
        counts = dataset.counters.filter(item=item, metric="view")
        assert counts.select("time", "value").rows() == [(published + day * DAY, v) for day, v in enumerate(views, 1)]
    assert any("no time of publication" in note.text for note in dataset.notes)


def test_a_time_of_publication_is_used_if_there_is_one(write):
    header = [name if name != "u2" else "publish_date" for name in HEADER]
    dataset = open_dataset(write({"basic_view_pn.csv": table(header=header, publish_date="2023-05-06")}))
    assert set(dataset.videos["published_at"]) == {1_683_331_200_000}
    assert dataset.as_of == 1_683_331_200_000 + 30 * DAY


def test_numbers_become_features_by_name(write):
    dataset = open_dataset(write({"basic_view_pn.csv": table()}), features=["number_3"])
    assert dataset.features["number_3"].to_list() == [1.5] * 3


@pytest.mark.parametrize(
    "text, told",
    [
        (table({"a": [1] * 30}, header=HEADER[:-1]), "44 columns; 45 are needed"),
        (table({"a": [1] * 30}, **{"Day 2": "high"}), "line 2: Day 2 is 'high', must be log2(v / 2 + 1)"),
        (
            table({"a": [1] * 30}, **{"Day 3": "5210"}),
            "line 2: Day 3 is '5210', must be log2(v / 3 + 1), a number up to 40",
        ),
        (table() + table().splitlines()[1], "line 5: item b is given twice"),
    ],
)
def test_what_is_refused(write, text, told):
    with pytest.raises(DatasetError) as caught:
        open_dataset(write({"basic_view_pn.csv": text}))
    assert told in caught.value.problems[0] and len(caught.value.problems) == 1


def test_a_missing_score_is_no_count(write):
    dataset = open_dataset(write({"basic_view_pn.csv": table({"a": [1] * 30, "b": [2] * 30}, **{"Day 2": ""})}))
    assert len(dataset.counters) == 2 * 29
