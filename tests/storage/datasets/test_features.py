import numpy as np
import polars as pl
import pytest

from storage.datasets.errors import DatasetError
from storage.datasets.features import open_features

ITEMS = ["1", "2", "10"]


def vectors(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def check(features, items=ITEMS, **changed) -> list[str]:
    return features.check(items, **{"most_rows": 4, "missing_allowed": False, "largest": 65504.0} | changed)


def test_rows_without_ids_are_the_items_by_ascending_number(tmp_path):
    given = vectors(3, 5)
    np.save(tmp_path / "f.npy", given)
    features = open_features(tmp_path / "f.npy", items=["10", "1", "2"])
    assert features.width == 5
    for row, item in enumerate(["1", "2", "10"]):
        np.testing.assert_array_equal(features.read(item), given[row : row + 1])
    assert check(features) == []


def test_ids_beside_the_array_say_whose_rows_they_are(tmp_path):
    given = vectors(3, 4, 5)
    np.save(tmp_path / "f.npy", given)
    (tmp_path / "f.ids.txt").write_text("b\na\nelse\n")
    features = open_features(tmp_path / "f.npy", items=["a", "b"])
    np.testing.assert_array_equal(features.read("a"), given[1])
    assert check(features, ["a", "b"]) == []
    (tmp_path / "f.ids.txt").write_bytes("\ufeffb\r\na\r\n e\u0301\r\n".encode())
    assert list(open_features(tmp_path / "f.npy", items=["a"]).places) == ["b", "a", "é"]
    (tmp_path / "f.ids.txt").unlink()
    np.save(tmp_path / "f.ids.npy", np.array([7, 8, 9]))
    np.testing.assert_array_equal(open_features(tmp_path / "f.npy", items=["a"]).read("9"), given[2])


def test_the_array_with_rows_of_an_archive(tmp_path):
    given = vectors(3, 5)
    np.savez(tmp_path / "f.npz", given, delimiter="::::")
    features = open_features(tmp_path / "f.npz", items=ITEMS)
    np.testing.assert_array_equal(features.read("10"), given[2:])
    np.savez(tmp_path / "f.npz", given, given)
    with pytest.raises(DatasetError, match="its arrays are arr_0, arr_1; exactly one with rows is allowed"):
        open_features(tmp_path / "f.npz", items=ITEMS)
    (tmp_path / "f.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DatasetError, match=r"not a \.npz file of numbers"):
        open_features(tmp_path / "f.npz", items=ITEMS)


def test_ids_that_are_floats_are_refused(tmp_path):
    np.save(tmp_path / "f.npy", vectors(2, 5))
    np.save(tmp_path / "f.ids.npy", np.array([1.0, 2.0]))
    pl.DataFrame({"item": [1.0, 2.0], "x": [[1.0], [2.0]]}).write_parquet(tmp_path / "f.parquet")
    for name in ("f.npy", "f.parquet"):
        with pytest.raises(DatasetError, match="its ids are floating-point numbers"):
            open_features(tmp_path / name, items=["1"])


def test_a_folder_of_arrays(tmp_path):
    for item, rows in (("a", 1), ("b", 3)):
        np.save(tmp_path / f"{item}.npy", vectors(rows, 5))
    np.save(tmp_path / "c.npy", vectors(5))
    features = open_features(tmp_path, items=["a", "b"])
    assert [features.read(item).shape for item in "abc"] == [(1, 5), (3, 5), (1, 5)]


@pytest.mark.parametrize("nested", [False, True])
def test_parquet(tmp_path, nested):
    given = vectors(2, 3, 4) if nested else vectors(2, 4)
    pl.DataFrame({"item": ["x", "y"], "embedding": given.tolist(), "note": ["", ""]}).write_parquet(
        tmp_path / "f.parquet"
    )
    features = open_features(tmp_path / "f.parquet", items=["x"])
    assert features.width == 4
    np.testing.assert_allclose(features.read("y"), np.atleast_2d(given[1]))


def test_items_that_are_not_in_it(tmp_path):
    np.save(tmp_path / "f.npy", vectors(1, 5))
    (tmp_path / "f.ids.txt").write_text("1")
    features = open_features(tmp_path / "f.npy", items=ITEMS)
    with pytest.raises(DatasetError, match=r"f\.npy: 2 items of the data set are not in it: 2, 10; .*imports\.missing"):
        check(features)
    assert check(features, missing_allowed=True) == ["2", "10"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_a_value_that_cannot_be_kept_is_named_by_row_and_item(tmp_path, value):
    given = vectors(3, 4, 5)
    given[2, 1, 3] = value
    np.save(tmp_path / "f.npy", given)
    with pytest.raises(DatasetError, match=r"f\.npy: row 2 \(item 10\): value 3 of vector 1 is .*finite values up to"):
        check(open_features(tmp_path / "f.npy", items=ITEMS))
    (tmp_path / "f.ids.txt").write_text("1\n2\nelse\n")
    assert check(open_features(tmp_path / "f.npy", items=ITEMS), ["1", "2"]) == []


def test_more_vectors_than_there_is_room_for(tmp_path):
    np.save(tmp_path / "f.npy", vectors(3, 6, 5))
    with pytest.raises(DatasetError, match=r"row 0 \(item 1\): it has 6 vectors, at most 4 are allowed"):
        check(open_features(tmp_path / "f.npy", items=ITEMS))


def test_rows_of_another_width(tmp_path):
    np.save(tmp_path / "1.npy", vectors(5))
    np.save(tmp_path / "2.npy", vectors(2, 4))
    with pytest.raises(DatasetError, match=r"2\.npy \(item 2\): shape is \(2, 4\), \(5,\) and \(rows, 5\) are allowed"):
        check(open_features(tmp_path, items=["1", "2"]), ["1", "2"])


def write_text(path):
    path.write_text("no array")


def write_doubled(path):
    np.save(path, vectors(3, 2))
    path.with_suffix(".ids.txt").write_text("a\nb\na\n")


@pytest.mark.parametrize(
    "name, write, items, words",
    [
        (
            "none.npy",
            lambda path: None,
            ITEMS,
            r"none\.npy: there is no such file .*\.npy file, a \.npz file, a \.parquet file",
        ),
        ("f.csv", write_text, ITEMS, r"f\.csv: its format is not known; a \.npy"),
        ("f.npy", write_text, ITEMS, r"f\.npy: not a \.npy file of numbers"),
        ("f.parquet", write_text, ITEMS, r"f\.parquet: not a parquet file"),
        ("f.npy", lambda path: np.save(path, vectors(7)), ITEMS, r"shape is \(7,\), \(items, d\) and"),
        ("f.npy", lambda path: np.save(path, np.ones((3, 2), int)), ITEMS, "its values are int64, float16"),
        (
            "f.npy",
            lambda path: np.save(path, vectors(4, 2)),
            ITEMS,
            "it has 4 rows, without f.ids.txt .* are 3; one row",
        ),
        (
            "f.npy",
            lambda path: np.save(path, vectors(3, 2)),
            ["a", "2", "3"],
            "it needs f.ids.txt or f.ids.npy beside it",
        ),
        ("f.npy", write_doubled, ["a"], r"item 'a' is given 2 times \(rows 0 and 2\); once is allowed"),
    ],
)
def test_files_that_cannot_be_taken(tmp_path, name, write, items, words):
    write(tmp_path / name)
    with pytest.raises(DatasetError, match=words):
        open_features(tmp_path / name, items=items)


@pytest.mark.parametrize(
    "columns, words",
    [
        ({"id": ["a"], "embedding": [[1.0]]}, "its columns are id, embedding; a column `item`"),
        ({"item": ["a"], "x": [[1.0]], "y": [[1.0]]}, "one column of lists"),
        ({"item": ["a", "b"], "x": [[1.0], None]}, "row 1 is empty"),
        ({"item": ["a", "a"], "x": [[1.0], [2.0]]}, "item 'a' is given 2 times"),
        ({"item": ["a"], "x": [["dance"]]}, r"row 0 \(item a\): could not convert .*; a list of numbers"),
        ({"item": ["a"], "x": [[[1.0, 2.0], [3.0]]]}, r"row 0 \(item a\): .*a list of equally long lists"),
    ],
)
def test_parquet_that_cannot_be_taken(tmp_path, columns, words):
    pl.DataFrame(columns).write_parquet(tmp_path / "f.parquet")
    with pytest.raises(DatasetError, match=words):
        open_features(tmp_path / "f.parquet", items=["a"])


def test_a_folder_of_single_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.float32(3))
    with pytest.raises(DatasetError, match=r"a\.npy: it holds a single number, \(d,\) and \(rows, d\) are allowed"):
        open_features(tmp_path, items=["a"])


def test_a_folder_of_whole_files_in_place_of_one_of_them(tmp_path):
    np.save(tmp_path / "video_features_VideoMAE.npy", vectors(3, 5))
    with pytest.raises(
        DatasetError, match=r"\(video_features_VideoMAE\.npy, \.\.\.\) is named after an item; give one"
    ):
        open_features(tmp_path, items=ITEMS)


def test_an_empty_folder(tmp_path):
    with pytest.raises(DatasetError, match=r"there is no \.npy file in it"):
        open_features(tmp_path, items=["a"])
