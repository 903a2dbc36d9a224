import pytest

from storage.datasets import DatasetError, read_splits


def test_published_form(write):
    folder = write({"s.csv": "video_id,split\r\n1,train\r\n2,test\r\n3,val\r\n4,Validation\r\n"})
    assert read_splits(folder / "s.csv").rows() == [("1", "train"), ("2", "test"), ("3", "val"), ("4", "val")]


@pytest.mark.parametrize(
    "text, words",
    [
        ("video_id,split\n1,train\n2,dev\n", "line 3: split is 'dev', allowed are train, val, test"),
        ("video_id,split\n1,train\n2,\n", "line 3: split is None"),
        ("video_id,split\n1,train\n1,test\n", "line 3: item '1' is given twice"),
        ("video_id,split\n", "no rows"),
        ("video_id,fold\n1,train\n", "no column split among video_id, fold"),
    ],
)
def test_what_is_refused(write, text, words):
    folder = write({"s.csv": text})
    with pytest.raises(DatasetError) as caught:
        read_splits(folder / "s.csv")
    assert words in str(caught.value)


def test_no_such_file(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        read_splits(tmp_path / "s.csv")


def test_a_folder_with_a_file_per_split(write):
    folder = write({"train.txt": "7\n12\n", "val.txt": "3\n", "test.txt": "1\r\n\r\n"})
    assert read_splits(folder).rows() == [("7", "train"), ("12", "train"), ("3", "val"), ("1", "test")]


def test_row_numbers_are_items_where_a_list_is_beside_the_splits(write):
    folder = write(
        {"vid.txt": "x7\nx1\nx9\n", "split/0/train.txt": "2\n", "split/0/val.txt": "0\n", "split/0/test.txt": "1\n"}
    )
    assert read_splits(folder / "split/0").rows() == [("x9", "train"), ("x7", "val"), ("x1", "test")]


FOLDER = {"train.txt": "7\n12\n", "val.txt": "3\n", "test.txt": "1\n"}


@pytest.mark.parametrize(
    "files, words",
    [
        ({"train.txt": "7\n", "test.txt": "1\n"}, "no val.txt; a folder of a split holds"),
        (FOLDER | {"val.txt": "\n"}, "val.txt: there is no item in it"),
        (FOLDER | {"test.txt": "1\n12\n"}, "test.txt, line 2: item '12' is in train.txt already"),
        (FOLDER | {"vid.txt": "a\nb\nc\nd\n"}, "train.txt, line 1: '7' is no row of"),
    ],
)
def test_what_is_refused_in_a_folder(write, files, words):
    with pytest.raises(DatasetError) as caught:
        read_splits(write(files))
    assert words in caught.value.problems[0]
