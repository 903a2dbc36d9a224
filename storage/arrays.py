"""NumPy arrays as parquet columns: lists that Arrow, polars and DuckDB can read too.

The lists are flat; the field's metadata hold the shape of one row's array. DuckDB reads them as FLOAT[], which the
catalog's views cast to FLOAT[n].
"""

import json
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

SHAPE = b"shape"
DTYPES = {"float16": pa.float16(), "float32": pa.float32()}


def _element(dtype: str) -> pa.DataType:
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}, allowed are {', '.join(DTYPES)}")
    return DTYPES[dtype]


def fixed(name: str, shape: Sequence[int], dtype: str = "float32") -> pa.Field:
    """Return a column in which each row is an array of the same shape.

    Args:
        name: The column's name.
        shape: The shape of one row's array, one or more positive sizes.
        dtype: `float16` or `float32`.

    Raises:
        ValueError: The shape or the dtype is not allowed.

    Example:
        >>> shape_of(fixed("embedding", [10, 768]))
        (10, 768)
    """
    shape = [int(size) for size in shape]
    if not shape or min(shape) < 1:
        raise ValueError(f"{name}: shape is {shape}, must be one or more positive sizes")
    return pa.field(name, pa.list_(_element(dtype), math.prod(shape)), metadata={SHAPE: json.dumps(shape)})


def ragged(name: str, width: int, dtype: str = "float32") -> pa.Field:
    """Return a column in which each row is an array (n, width); n differs between rows and may be 0.

    Args:
        name: The column's name.
        width: The second size of every array.
        dtype: `float16` or `float32`.

    Raises:
        ValueError: The dtype is not allowed.
    """
    row = pa.field("element", pa.list_(_element(dtype), width))
    return pa.field(name, pa.list_(row), metadata={SHAPE: json.dumps([None, width])})


def shape_of(field: pa.Field) -> tuple[int | None, ...] | None:
    """Return the shape of one row's array, with None for a ragged length; None for a column that holds no arrays."""
    if field.metadata is None or SHAPE not in field.metadata:
        return None
    return tuple(json.loads(field.metadata[SHAPE]))


def to_column(field: pa.Field, arrays: Sequence[np.ndarray | None]) -> pa.Array:
    """Convert arrays to an Arrow array of the field's type.

    Args:
        field: A column from `fixed` or `ragged`.
        arrays: One array per row, each of the field's shape, or one stacked array (n, *shape). None becomes null.

    Raises:
        ValueError: An array has another shape, or holds NaN or infinity in the field's dtype.
    """
    shape = shape_of(field)
    is_ragged = shape[0] is None
    flat_type = field.type.value_type if is_ragged else field.type
    dtype = flat_type.value_type.to_pandas_dtype()
    rows = []
    for position, array in enumerate(arrays):
        if array is None:
            rows.append(np.zeros((0, shape[1]) if is_ragged else shape, dtype))
            continue
        array = np.asarray(array)
        fits = array.ndim == 2 and array.shape[1] == shape[1] if is_ragged else array.shape == shape
        if not fits:
            raise ValueError(f"{field.name}, row {position}: shape is {array.shape}, must be {shape}")
        with np.errstate(over="ignore"):  # values that overflow become infinite and are refused below
            rows.append(array.astype(dtype, copy=False))
    flat = np.concatenate(rows).reshape(-1) if rows else np.zeros(0, dtype)
    if not np.isfinite(flat).all():
        wrong = next(position for position, row in enumerate(rows) if not np.isfinite(row).all())
        raise ValueError(
            f"{field.name}, row {wrong}: NaN or infinity (in {np.dtype(dtype).name}); every value must be finite"
        )
    null = np.fromiter((array is None for array in arrays), bool, len(rows))
    lists = pa.FixedSizeListArray.from_arrays(
        pa.array(flat), type=flat_type, mask=None if is_ragged else pa.array(null)
    )
    if not is_ragged:
        return lists
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), lists, type=field.type, mask=pa.array(null))


def to_numpy(table: pa.Table, name: str) -> np.ndarray | list[np.ndarray]:
    """Return a column of arrays as NumPy arrays, without a copy if the column is one Arrow chunk.

    Args:
        table: A table with the column.
        name: The column's name.

    Returns:
        (n, *shape) if the shape is fixed, a list of n arrays (rows, width) if it is ragged.

    Raises:
        ValueError: The column holds no arrays, or has null rows.
    """
    field = table.schema.field(name)
    shape = shape_of(field)
    if shape is None:
        raise ValueError(f"{name}: not a column of arrays but {field.type}")
    column = table[name]
    if column.null_count:
        raise ValueError(f"{name}: {column.null_count} of {len(column)} rows are null; filter them out first")
    column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], field.type)
    if shape[0] is not None:
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), *shape)
    offsets = column.offsets.to_numpy()
    # `flatten` returns the slice only, whereas `values` returns the whole buffer, in which the offsets count.
    rows = column.values.flatten().to_numpy(zero_copy_only=False).reshape(-1, shape[1])
    return [rows[start:stop] for start, stop in pairwise(offsets)]
