"""The drill's own checks see what they are for."""

import shutil
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.damage import DamageError
from storage.rows import Row
from storage.store import Store
from tests.drill.compare import differences, finished, without_duplicates

PAYLOAD = pa.schema({"number": pa.int64()})


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "one")
    rows = [Row.ok(str(item), f"hash {item}", {"number": item}) for item in range(3)]
    made.stage("frames", PAYLOAD).commit([*rows, Row.failed("bad", "h", ValueError("no video"))], fingerprint="f")
    made.table("splits").write(pl.DataFrame({"item": ["0", "1"]}), inputs_hash="i", fingerprint="f")
    with made.artifact("model").new(inputs_hash="i", fingerprint="f") as folder:
        (folder / "weights").write_text("w")
    shutil.copytree(made.root, tmp_path / "other")
    return made


def test_equal_stores(store, tmp_path):
    assert differences(store.root, tmp_path / "other") == []
    assert set(finished(store.root)) == {("frames", "0"), ("frames", "1"), ("frames", "2")}


def test_a_lost_row_a_changed_row_and_one_too_many(store, tmp_path):
    stage = store.stage("frames", PAYLOAD)
    stage.drop(["1"])
    assert any("lost ['1']" in line for line in differences(store.root, tmp_path / "other"))
    stage.commit([Row.ok("1", "hash 1", {"number": 7})], fingerprint="f")
    assert any("rows: other values for ['1']" in line for line in differences(store.root, tmp_path / "other"))
    stage.commit([Row.ok("new", "h", {"number": 8})], fingerprint="f")
    assert any("too many ['new']" in line for line in differences(store.root, tmp_path / "other"))


def test_tables_and_artifacts(store, tmp_path):
    store.table("splits").write(pl.DataFrame({"item": ["0"]}), inputs_hash="i", fingerprint="f")
    with store.artifact("model").new(inputs_hash="else", fingerprint="f"):
        pass
    told = differences(store.root, tmp_path / "other")
    assert any(line.startswith("table splits") for line in told)
    assert any(line.startswith("artifact model") for line in told)


def test_a_forecast_lost_or_logged_twice(store, tmp_path):
    row = {"forecast": ["a hash"], "item": ["0"], "target_name": ["comment@7d"], "data_end": [0], "predicted": [2.0]}
    Store(tmp_path / "other").append("forecast_log", pl.DataFrame(row))
    assert differences(store.root, tmp_path / "other") == ["log forecast_log: lost a forecast, or holds another"]
    for _ in range(2):
        store.append("forecast_log", pl.DataFrame(row))
    assert "log forecast_log: a forecast is there twice" in differences(store.root, tmp_path / "other")


def test_a_torn_part_is_an_error(store):
    parts = store.root.glob("stages/frames/parts/*/*/*.parquet")
    (part,) = [part for part in parts if pq.ParquetFile(part).metadata.num_rows]
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamageError):
        finished(store.root)


def test_items_with_a_duplicate_are_left_out(store):
    splits = pl.DataFrame({"item": ["0", "1", "2"], "group": [5, 7, 5]})
    store.table("splits").write(splits, inputs_hash="i", fingerprint="g")
    assert without_duplicates(store.root) == ["1"]


@pytest.mark.slow
@pytest.mark.timeout(1860)  # its own limit comes first
def test_some_faults(tmp_path):
    command = [sys.executable, "-m", "tests.drill", "--faults", "5", "--folder", str(tmp_path / "drill")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ": 0 stores differ" in done.stdout
