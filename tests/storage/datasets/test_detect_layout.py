import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.datasets import DatasetError, open_dataset
from storage.datasets.dataset import natural_order


def test_no_such_folder(tmp_path):
    with pytest.raises(DatasetError, match="absent: no such folder"):
        open_dataset(tmp_path / "absent")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "x_pairs.csv").write_text("")
    with pytest.raises(DatasetError, match="not a folder"):
        open_dataset(tmp_path / "x_pairs.csv")


def test_neither_layout_says_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=r"\*_pairs\.csv.*videos\.csv\|parquet.*events\.csv\|parquet"):
        open_dataset(tmp_path)


def test_the_error_survives_a_worker_process():
    error = pickle.loads(pickle.dumps(DatasetError(["one", "two"])))
    assert error.problems == ["one", "two"]
    assert "2 problems" in str(error)


@given(st.lists(st.integers(0, 10**50), max_size=30))
@example([10**39 + 1, 10**50])
@example([10**200, 10**200 + 1, 9])
def test_numeric_items_sort_as_numbers(numbers):
    in_order = sorted(set(numbers))
    assert natural_order(map(str, numbers)) == [str(number) for number in in_order]
    assert natural_order(f"clip{number}.mp4" for number in numbers) == [f"clip{number}.mp4" for number in in_order]


def test_mixed_items_sort_naturally():
    assert natural_order(["clip-10", "10", "clip-9", "2", "02", "clip"]) == [
        "2",
        "02",
        "10",
        "clip",
        "clip-9",
        "clip-10",
    ]
