import os

import polars as pl
import pyarrow as pa
import pytest

from storage import state_cache
from storage.checked_parquet import read_table
from storage.rows import Row
from storage.store import Store

PAYLOAD = pa.schema({"value": pa.int64()})


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the part files that are read from now on."""
    names = []

    def noted(file, schema):
        names.append(file.name)
        return read_table(file, schema)

    monkeypatch.setattr("storage.parts.read_table", noted)
    return names


def commit(store: Store, *items: str, value: int = 1, stage: str = "captions") -> None:
    store.stage(stage, PAYLOAD).commit([Row.ok(item, f"{value}", {"value": value}) for item in items], fingerprint="f")


def hashes(store: Store, stage: str = "captions") -> dict[str, str]:
    return dict(store.stage(stage, PAYLOAD).states().select("item", "input_hash").iter_rows())


def test_each_part_is_read_once_and_what_is_committed_meanwhile_is_seen(tmp_path, read):
    store = Store(tmp_path)
    commit(store, "a", "b")
    assert hashes(store) == hashes(Store(tmp_path)) == {"a": "1", "b": "1"}
    commit(Store(tmp_path), "b", "c", value=2)
    assert hashes(store) == {"a": "1", "b": "2", "c": "2"}
    store.stage("captions", PAYLOAD).drop(["a"])
    assert hashes(store) == {"b": "2", "c": "2"}
    assert len(read) == len(set(read)) == 3


def test_the_rows_come_in_the_order_of_commits_however_often_they_were_asked_for(tmp_path, monkeypatch):
    store = Store(tmp_path)
    for number, items in enumerate(("abc", "be", "ad")):
        commit(store, *items, value=number)
        hashes(store)
    asked_often = store.stage("captions", PAYLOAD).states()
    monkeypatch.setattr(state_cache, "_kept", state_cache.OrderedDict())
    assert asked_often["item"].to_list() == ["c", "b", "e", "a", "d"]
    assert store.stage("captions", PAYLOAD).states().equals(asked_often)


def test_a_part_that_was_replaced_in_place_is_read_again(tmp_path, read):
    store = Store(tmp_path)
    commit(store, "a")
    hashes(store)
    (part,) = (file for file in tmp_path.glob("stages/captions/parts/*/*/*.parquet") if "empty" not in file.name)
    os.utime(part, ns=(1, 1))
    hashes(store)
    assert read == [part.name] * 2
    part.unlink()
    assert hashes(store) == {}


def test_merged_parts_are_read_anew(tmp_path):
    store = Store(tmp_path)
    for item in "abc":
        commit(store, item)
        hashes(store)
    assert store.stage("captions", PAYLOAD).compact(publish=lambda: None, retention=0, most_parts=1) == 3
    rows = store.stage("captions", PAYLOAD).read(columns=["value"])
    assert sorted(rows["item"].to_pylist()) == ["a", "b", "c"]


def test_memory_is_bounded_and_the_stage_asked_for_longest_ago_goes(tmp_path, monkeypatch, read):
    monkeypatch.setattr(state_cache, "ROWS", 5)
    store = Store(tmp_path)
    for stage in ("one", "two"):
        commit(store, "a", "b", stage=stage)
        hashes(store, stage)
    hashes(store, "one")
    commit(store, "a", "b", stage="three")
    hashes(store, "three")
    read.clear()
    assert isinstance(hashes(store, "one"), dict) and not read
    hashes(store, "two")
    assert len(read) == 1
    assert isinstance(store.stage("two", PAYLOAD).states(), pl.DataFrame)
