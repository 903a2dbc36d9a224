import polars as pl
import pyarrow as pa
import pytest

from storage.arrays import fixed, shape_of, to_column
from storage.durable import StoreError


def test_a_table_is_replaced_whole_with_its_state(store):
    table = store.table("splits")
    assert table.state() is None and not table.is_current("i", "f")
    first = table.write(pl.DataFrame({"a": [1, 2]}), inputs_hash="i", fingerprint="f", metadata={"seed": 3})
    assert (first.version, first.rows, first.metadata) == (1, 2, {"seed": 3})
    assert table.is_current("i", "f") and not table.is_current("j", "f") and not table.is_current("i", "g")
    reader = pa.parquet.ParquetFile(table.current)
    table.write(pl.DataFrame({"b": ["x"]}), inputs_hash="j", fingerprint="f")
    assert table.read().rows() == [("x",)] and table.state().version == 2
    assert reader.read().to_pydict() == {"a": [1, 2]}


def test_a_table_that_is_not_there_says_so(store):
    with pytest.raises(StoreError, match=r"table splits is not in the store yet.*materialise it first"):
        store.table("splits").read()


def test_field_metadata_is_kept(store):
    field = fixed("v", (2, 2))
    frame = pa.Table.from_arrays([to_column(field, [[[1, 2], [3, 4]]])], schema=pa.schema([field]))
    table = store.table("t")
    table.write(frame, inputs_hash="i", fingerprint="f")
    assert shape_of(pa.parquet.ParquetFile(table.current).schema_arrow.field("v")) == (2, 2)


def test_pruning_keeps_what_is_in_service(store):
    table = store.table("t")
    for value in range(5):
        table.write(pl.DataFrame({"a": [value]}), inputs_hash="i", fingerprint="f")
    table.prune(keep=2)
    assert len(table.versions()) == 2
    table.prune(keep=0)
    assert table.versions() == [] and table.read().item() == 4
    assert table.write(pl.DataFrame({"a": [5]}), inputs_hash="i", fingerprint="f").version == 6


def test_an_empty_frame_keeps_its_columns(store):
    table = store.table("t")
    table.write(pl.DataFrame(schema={"item": pl.String}), inputs_hash="i", fingerprint="f")
    assert table.read().schema == {"item": pl.String}


def test_the_head_is_the_first_rows_and_the_number_of_all(store):
    frame = pl.DataFrame({"item": [str(row) for row in range(1000)], "labels": [[row, row + 1] for row in range(1000)]})
    store.table("t").write(frame, inputs_hash="i", fingerprint="f")
    number, first = store.table("t").head(3)
    assert number == 1000
    assert first.equals(frame.head(3))


def test_the_head_of_an_empty_table_has_its_columns(store):
    store.table("t").write(pl.DataFrame(schema={"item": pl.String}), inputs_hash="i", fingerprint="f")
    number, first = store.table("t").head(3)
    assert (number, first.schema) == (0, {"item": pl.String})
