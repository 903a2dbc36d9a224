import polars as pl

from storage.store import Store


def test_rows_are_added_in_order_and_columns_may_be_new(store):
    assert store.log("runs").read().is_empty()
    store.append("runs", pl.DataFrame({"run": ["a"], "seconds": [1.5]}))
    store.append("runs", pl.DataFrame({"run": ["b"], "items": [3]}))
    store.append("runs", pl.DataFrame({"run": []}, schema={"run": pl.String}))
    assert store.log("runs").read().rows() == [("a", 1.5, None), ("b", None, 3)]


def test_a_folder_may_have_brackets_in_its_name(tmp_path):
    store = Store(tmp_path / "[2026] run *")
    store.append("runs", pl.DataFrame({"run": ["a"]}))
    assert store.log("runs").read().rows() == [("a",)]
