import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from storage.arrays import fixed, ragged, shape_of, to_column, to_numpy

DTYPES = st.sampled_from(["float16", "float32"])


def table_of(field, arrays) -> pa.Table:
    return pa.Table.from_arrays([to_column(field, arrays)], schema=pa.schema([field]))


@given(st.data(), DTYPES, hnp.array_shapes(max_dims=3, max_side=4), st.integers(0, 5))
def test_fixed_arrays_come_back(data, dtype, shape, count):
    elements = st.floats(-1000, 1000, width=16)
    arrays = data.draw(hnp.arrays(dtype, (count, *shape), elements=elements))
    field = fixed("a", shape, dtype)
    table = table_of(field, arrays)
    back = to_numpy(pa.concat_tables([table.slice(0, count // 2), table.slice(count // 2)]), "a")
    assert back.dtype == dtype and back.shape == (count, *shape)
    np.testing.assert_array_equal(back, arrays)
    np.testing.assert_array_equal(to_numpy(table.slice(1), "a"), arrays[1:])


@given(DTYPES, st.lists(st.integers(0, 4), max_size=6), st.integers(1, 3))
def test_ragged_arrays_come_back(dtype, lengths, width):
    arrays = [np.full((length, width), row + 0.5, dtype) for row, length in enumerate(lengths)]
    table = table_of(ragged("w", width, dtype), arrays)
    for part, expected in ((table, arrays), (table.slice(1), arrays[1:])):
        back = to_numpy(part, "w")
        assert [array.shape for array in back] == [array.shape for array in expected]
        for one, other in zip(back, expected):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_parquet_polars_and_duckdb_read_them(tmp_path, dtype):
    arrays = np.arange(24, dtype=dtype).reshape(4, 2, 3)
    words = [arrays[0], arrays[1][:1], arrays[2][:0], arrays[3]]
    schema = pa.schema([fixed("a", (2, 3), dtype), ragged("w", 3, dtype)])
    table = pa.Table.from_arrays(
        [to_column(schema.field("a"), arrays), to_column(schema.field("w"), words)], schema=schema
    )
    pq.write_table(table, tmp_path / "t.parquet")
    back = pq.ParquetFile(tmp_path / "t.parquet").read()
    assert shape_of(back.schema.field("a")) == (2, 3) and shape_of(back.schema.field("w")) == (None, 3)
    np.testing.assert_array_equal(to_numpy(back, "a"), arrays)
    assert [len(array) for array in to_numpy(back, "w")] == [2, 1, 0, 2]
    assert pl.read_parquet(tmp_path / "t.parquet")["a"].to_numpy().reshape(4, 2, 3).tolist() == arrays.tolist()
    query = f"SELECT a::FLOAT[6] AS a, w::FLOAT[3][] AS w FROM '{tmp_path}/t.parquet'"
    rows = duckdb.sql(query).fetchall()
    assert [row[0] for row in rows] == [tuple(array.reshape(-1).tolist()) for array in arrays]
    assert [len(row[1]) for row in rows] == [2, 1, 0, 2]


def test_none_is_null_and_nulls_are_no_arrays():
    table = table_of(fixed("a", (2,)), [np.ones(2), None])
    assert table["a"].to_pylist() == [[1.0, 1.0], None]
    with pytest.raises(ValueError, match="1 of 2 rows are null"):
        to_numpy(table, "a")
    assert table_of(ragged("w", 2), [None, np.ones((1, 2))])["w"].to_pylist() == [None, [[1.0, 1.0]]]


@pytest.mark.parametrize(
    "arrays, words",
    [
        ([np.ones(3)], r"row 0: shape is \(3,\), must be \(2,\)"),
        ([np.ones(2), np.array([np.nan, 1])], "row 1: NaN"),
        ([np.array([1e6, 0])], "infinity"),
    ],
)
def test_wrong_arrays_are_refused(arrays, words):
    with pytest.raises(ValueError, match=words):
        to_column(fixed("a", (2,), "float16"), arrays)


def test_wrong_fields_are_refused():
    with pytest.raises(ValueError, match=r"float64.*allowed are float16, float32"):
        fixed("a", (2,), "float64")
    with pytest.raises(ValueError, match="positive sizes"):
        fixed("a", (2, 0))
    with pytest.raises(ValueError, match="not a column of arrays"):
        to_numpy(pa.table({"a": [1]}), "a")
