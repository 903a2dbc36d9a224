"""A folder in the form of SMPD, three training posts and one test post small."""

import json
import math

import pytest

from storage.datasets import DatasetError, open_dataset

PEOPLE = [("9@N1", "12"), ("9@N1", "5"), ("2@N7", "12")]
TEST_PEOPLE = [("4@N4", "1")]
DAY = 86_400


def part(name, people, *, columnar=False):
    """The files of a part, in the folder of the years from 2019 on."""
    ids = [{"Uid": uid, "Pid": pid} for uid, pid in people]
    user = [
        post | {"photo_count": 100 * row, "ispro": True, "timezone_offset": "+01:00"} for row, post in enumerate(ids)
    ]
    if columnar:
        user = {column: {str(row): post[column] for row, post in enumerate(user)} for column in user[0]}
    tables = {
        "additional_information": [post | {"Pathalias": "me", "Ispublic": 1, "Mediastatus": "ready"} for post in ids],
        "category": [post | {"Category": "Fun", "Subcategory": "Food/Drink", "Concept": "tea"} for post in ids],
        "text": [post | {"Title": "a cup", "Alltags": "tea cup", "Mediatype": "photo"} for post in ids],
        "temporalspatial_information": [
            post | {"Postdate": str(1_440_000_000 + row * DAY), "Latitude": 1.5, "Longitude": "", "Geoaccuracy": 0}
            for row, post in enumerate(ids)
        ],
        "user_data": user,
    }
    folder = f"{name}_allmetadata_json/{name}"
    files = {f"{folder}_{table}.json": json.dumps(rows) for table, rows in tables.items()}
    return files | {f"{folder}_img_filepath.txt": "".join(f"{name}/{uid}/{pid}.jpg\n" for uid, pid in people)}


LABEL = "train_allmetadata_json/train_label.txt"
FILES = part("train", PEOPLE, columnar=True) | part("test", TEST_PEOPLE) | {LABEL: "8.04\n1.0\n16.55\n"}


def test_the_parts_are_joined_row_by_row(write):
    dataset = open_dataset(write(FILES | {"train/9@N1/5.jpg": b"x"}))
    assert dataset.layout == "smpd" and dataset.events.is_empty()
    assert dataset.videos.select("item", "title", "category", "author", "published_at").rows() == [
        ("2@N7_12", "a cup", "Fun/Food-Drink/tea", "2@N7", (1_440_000_000 + 2 * DAY) * 1000),
        ("4@N4_1", "a cup", "Fun/Food-Drink/tea", "4@N4", 1_440_000_000_000),
        ("9@N1_5", "a cup", "Fun/Food-Drink/tea", "9@N1", (1_440_000_000 + DAY) * 1000),
        ("9@N1_12", "a cup", "Fun/Food-Drink/tea", "9@N1", 1_440_000_000_000),
    ]
    paths = dict(dataset.videos.select("item", "path").iter_rows())
    assert paths.pop("9@N1_5").endswith("train/9@N1/5.jpg") and set(paths.values()) == {None}
    assert dataset.details["hashtags"].to_list() == ["tea cup"] * 4
    # of an author's rows the first is used, without a time
    assert dataset.authors.select("author", "time", "posts", "is_pro").rows() == [
        ("2@N7", None, 200.0, 1.0), ("4@N4", None, 0.0, 1.0), ("9@N1", None, 0.0, 1.0),
    ]  # fmt: skip


def test_a_score_is_a_final_count_that_gives_it_back(write):
    dataset = open_dataset(write(FILES))
    scores = {item: math.log2(value / 1e6) + 1 for item, _, _, value in dataset.counters.iter_rows()}
    assert {item: round(score, 2) for item, score in scores.items()} == {
        "9@N1_12": 8.04, "9@N1_5": 1.0, "2@N7_12": 16.55
    }  # fmt: skip
    assert dataset.counters["metric"].unique().to_list() == ["view_per_million_days"]
    assert dataset.counters["time"].to_list() == [None] * 3


@pytest.mark.parametrize("place", ["", "train/"])
def test_other_years_have_the_files_elsewhere_and_without_test_posts(write, place):
    moved = {
        path.replace("train_allmetadata_json/", place): text
        for path, text in FILES.items()
        if path.startswith("train") and "user_data" not in path and "filepath" not in path
    }
    dataset = open_dataset(write(moved))
    assert dataset.videos.height == 3 and dataset.authors is None and len(dataset.counters) == 3
    told = " ".join(note.text for note in dataset.notes)
    assert "no train_user_data.json" in told and "there are no test posts" in told


def test_columns_of_the_files_become_features_by_name(write):
    features = open_dataset(write(FILES), features=["Latitude", "media_type", "timezone_offset"]).features
    assert features.row(0) == ("2@N7_12", 1.5, "photo", "+01:00")


TEXT = "train_allmetadata_json/train_text.json"


@pytest.mark.parametrize(
    "name, text, told",
    [
        (LABEL, "8.04\n1.0\n", "train_label.txt: 2 scores, but there are 3 posts"),
        (LABEL, "8.04\nmany\n16.55\n", "train_label.txt, line 2: score is 'many', must be a number"),
        (LABEL, "8.04\n1.0\n1200\n", "train_label.txt, line 3: score is 1200; scores up to 40 are allowed"),
        (TEXT, FILES[TEXT][:-20], "train_text.json, line 1: not JSON"),
        (TEXT, '"text"', "train_text.json: a list of objects"),
        (TEXT, json.dumps(json.loads(FILES[TEXT])[:2]), "train_text.json: 2 rows, but train_additional_inform"),
        (TEXT, FILES[TEXT].replace('"5"', '"6"'), "train_text.json, row 2: Pid is '6', but train_additional_inform"),
        (
            "train_allmetadata_json/train_temporalspatial_information.json",
            FILES["train_allmetadata_json/train_temporalspatial_information.json"].replace("1440086400", "soon"),
            "row 2: published_at is 'soon'",
        ),
        (
            "train_allmetadata_json/train_user_data.json",
            FILES["train_allmetadata_json/train_user_data.json"].replace('"2": 200', '"3": 200'),
            "column 'photo_count' has no rows 0 to 2",
        ),
    ],
)
def test_what_is_refused(write, name, text, told):
    with pytest.raises(DatasetError) as caught:
        open_dataset(write(FILES | {name: text}))
    assert told in caught.value.problems[0] and len(caught.value.problems) == 1


def test_a_post_occurs_once(write):
    twice = part("train", [*PEOPLE[:2], PEOPLE[0]])
    with pytest.raises(DatasetError, match=r"post 9@N1_12 is given twice"):
        open_dataset(write(FILES | twice))
