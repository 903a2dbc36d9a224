"""Counts whose column says when they were read off."""

import pytest

from storage.datasets import open_dataset
from storage.datasets.moments_in_names import age_in, date_in

T = 1_704_067_200_000  # 2024-01-01
HOUR = 3_600_000


def test_columns_named_after_dates(write):
    rows = "id,published_at,views_2024-01-02,views_2024-01-03,likes_20240103\na,2024-01-01,5,7,1\nb,2024-01-02,,3,\n"
    dataset = open_dataset(write({"videos.csv": rows}))
    assert dataset.counters.rows() == [
        ("a", "like", T + 48 * HOUR, 1), ("a", "view", T + 24 * HOUR, 5), ("a", "view", T + 48 * HOUR, 7),
        ("b", "view", T + 48 * HOUR, 3),
    ]  # fmt: skip
    told = "3 columns are snapshots of counters: 'views_2024-01-02' is read as view at 2024-01-02 00:00:00 UTC"
    assert any(told in note.text for note in dataset.notes)
    assert not any("final counts" in note.text for note in dataset.notes) and "videos" not in dataset.further


def test_columns_named_after_ages_need_a_publication(write):
    rows = "id,published_at,views_24h,views_day_2,views\na,2024-01-01,5,7,9\nb,,1,2,3\n"
    dataset = open_dataset(write({"videos.csv": rows}))
    assert dataset.counters.rows() == [
        ("a", "view", T + 24 * HOUR, 5), ("a", "view", T + 48 * HOUR, 7), ("a", "view", None, 9), ("b", "view", None, 3),
    ]  # fmt: skip


def test_the_table_of_counters_too(write):
    dataset = open_dataset(write({"counters.csv": "item,2024-01-02 views,rank\na,5,1\n"}))
    assert dataset.counters.rows() == [("a", "rank", None, 1), ("a", "view", T + 24 * HOUR, 5)]


@pytest.mark.parametrize("name", ["views_last_7d", "views", "rank_24h", "views_2", "views_2024"])
def test_other_names_are_no_snapshots(write, name):
    dataset = open_dataset(write({"videos.csv": f"id,published_at,{name},likes\na,2024-01-01,5,1\n"}))
    assert not any("snapshots of counters" in note.text for note in dataset.notes)


@pytest.mark.parametrize("name", ["2024-13-01", "v_1704103200000", "2024-01-01_to_2024-02-01", "1999-01-01"])
def test_names_without_one_date(name):
    assert date_in(name) is None


@pytest.mark.parametrize(
    "name, hours", [("views_1w", 168), ("play at day 30", 720), ("24hours_views", 24), ("views_3m", None)]
)
def test_ages(name, hours):
    moment = age_in(name)
    assert (None if moment is None else moment.age / HOUR) == hours
