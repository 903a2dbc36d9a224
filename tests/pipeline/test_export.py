"""`reelcast export`: any stage, table or log as a file."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pipeline.command_line import main
from storage.arrays import fixed
from storage.rows import Row
from storage.store import Store

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    payload = pa.schema([fixed("vector", [2]), pa.field("words", pa.list_(pa.string()))])
    rows = [Row.ok(item, "i", {"vector": VECTORS[n], "words": [item, "ü"]}) for n, item in enumerate("abc")]
    store.stage("texts", payload).commit([*rows, Row.missing("d", "i", "no title")], fingerprint="f")
    store.table("labels").write(pl.DataFrame({"item": ["a", "b"], "count": [3, 4]}), inputs_hash="i", fingerprint="f")
    monkeypatch.setenv("REELCAST_STORE__PATH", str(store.root))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_stage_as_parquet_csv_and_npy(folder, capsys):
    assert main(["export", "texts", "texts.parquet"]) == 0
    assert pl.read_parquet("texts.parquet")["vector"].to_list() == VECTORS.tolist()
    assert main(["export", "texts", "texts.csv"]) == 0
    frame = pl.read_csv("texts.csv")
    assert [json.loads(words) for words in frame["words"]] == [["a", "ü"], ["b", "ü"], ["c", "ü"]]
    assert main(["export", "texts", "vectors.npy"]) == 0
    assert "(3, 2) float32 of texts.vector" in capsys.readouterr().out
    assert main(["export", "texts", "texts.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "texts.csv"
    assert np.array_equal(np.load("vectors.npy"), VECTORS)
    assert (folder / "vectors.items.txt").read_text() == "a\nb\nc\n"


def test_a_table_and_one_of_its_columns(folder):
    assert main(["export", "labels", "counts.npy", "--column", "count"]) == 0
    assert np.load("counts.npy").tolist() == [3, 4]
    assert main(["export", "labels", "counts.csv", "--column", "count"]) == 0
    assert (folder / "counts.csv").read_text() == "item,count\na,3\nb,4\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["label", "x.csv"], "Did you mean 'labels'? The store holds texts, labels"),
        (["labels", "x.xlsx"], "allowed are .parquet, .csv, .npy"),
        (["labels", "x.csv", "--column", "views"], "has no column 'views', allowed are item, count"),
        (["texts", "x.npy", "--column", "words"], "Columns of numbers of texts: none"),
        (["labels", "counts.csv/x.csv"], "counts.csv"),
    ],
)
def test_what_cannot_be_exported_is_told(folder, capsys, arguments, told):
    (folder / "counts.csv").write_text("in the way")
    assert main(["export", *arguments]) == 2
    assert told in capsys.readouterr().err
