"""A folder in the form of the Vine set, three items small."""

import pytest

from storage.datasets import DatasetError, open_dataset

FILES = {
    "video_id.txt": "12\n5\n30\n",
    "ground_truth.txt": "".join(
        f"{loops}.0::::{likes}::::1::::0::::2015-07-01T00:0{minute}:00.000000\n"
        for minute, (loops, likes) in enumerate([(100, 8), (20, 0), (70, 3)])
    ),
    "video_text.txt": "first of all #one\n\nthird, one\n",
    "video_user.txt": "5::::u2\n12::::u1\n30::::u1\n",
    "user_details.txt": "u1::::500::::10::::20::::30::::3::::1\n",
    "video_polarity.txt": "0.0\n",
}
MINUTE = 60_000
START = 1_435_708_800_000


def test_rows_belong_to_the_lines_of_the_ids(write):
    dataset = open_dataset(write(FILES))
    assert dataset.layout == "vine" and dataset.events.is_empty()
    assert dataset.videos.select("item", "title", "author", "published_at").rows() == [
        ("5", None, "u2", START + MINUTE),
        ("12", "first of all #one", "u1", START),
        ("30", "third, one", "u1", START + 2 * MINUTE),
    ]
    assert dataset.counters.filter(item="12").rows() == [
        ("12", "comment", None, 0), ("12", "like", None, 8), ("12", "loop", None, 100), ("12", "repost", None, 1),
    ]  # fmt: skip
    assert dataset.authors.rows() == [("u1", None, 500.0, 10.0, 20.0, 30.0, 3.0, 1.0)]
    assert dataset.as_of == START + 2 * MINUTE
    assert any("it is unknown when the statistics were taken" in note.text for note in dataset.notes)


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("video_text.txt", "one\n", "video_text.txt: 1 rows, but video_id.txt has 3"),
        ("video_id.txt", "12\n12\n30\n", "1 items are given twice"),
        ("video_id.txt", "12\n\n30\n", "video_id.txt, line 2: the line is empty"),
        (
            "ground_truth.txt",
            FILES["ground_truth.txt"].replace("20.0", "many"),
            "line 2: loops is 'many', must be a count",
        ),
        ("ground_truth.txt", FILES["ground_truth.txt"].replace("20.0::::", ""), "ground_truth.txt: 2 rows, but"),
        ("user_details.txt", "u1::::x::::10::::20::::30::::3::::1\n", "line 1: loops is 'x', must be a number"),
    ],
)
def test_what_is_refused(write, name, text, told):
    with pytest.raises(DatasetError) as caught:
        open_dataset(write(FILES | {name: text}))
    assert told in caught.value.problems[0]


def test_named_features_are_refused(write):
    with pytest.raises(DatasetError, match=r"data\.features names 'mood', but the Vine form has no further columns"):
        open_dataset(write(FILES), features=["mood"])
