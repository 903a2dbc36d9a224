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
