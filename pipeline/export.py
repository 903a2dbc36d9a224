"""A stage, table or log of the store as a parquet, CSV or NumPy file."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import WrongUse
from storage.arrays import shape_of, to_numpy
from storage.durable import write_text, written_beside
from storage.store import Store

FORMATS = ("parquet", "csv", "npy")


def export(store: Store, name: str, path: Path, *, column: str | None = None) -> str:
    """Write the rows of a stage, table or log to a file, in the format that its suffix names.

    Args:
        store: The store.
        name: Name of a stage, a table or a log.
        path: The file: .parquet, .csv (a column of lists becomes JSON), or .npy (one column of numbers, with the items of its
            rows in a file `.items.txt` beside it).
        column: The only column to write; needed for .npy unless a single column can be meant.

    Returns:
        What was written, in words.

    Raises:
        WrongUse: There is no such name or column, or the format cannot hold the column.
        StoreError: The file cannot be written.
    """
    suffix = path.suffix.lstrip(".").lower()
    if suffix not in FORMATS:
        raise WrongUse(f"{path}: the suffix names the format, allowed are {', '.join('.' + name for name in FORMATS)}")
    table = rows_of(store, name)
    if column is not None:
        if column not in table.column_names:
            raise WrongUse(f"{name} has no column {column!r}, allowed are {', '.join(table.column_names)}")
        table = table.select(list(dict.fromkeys([*(["item"] if "item" in table.column_names else []), column])))
    if suffix == "npy":
        return _write_npy(table, name, path)
    with written_beside(path) as scratch:
        if suffix == "parquet":
            pq.write_table(table, scratch)
        else:
            _flat(pl.from_arrow(table)).write_csv(scratch)
    return f"{path}: {table.num_rows:,} rows, {table.num_columns} columns of {name}"


def rows_of(store: Store, name: str) -> pa.Table:
    """Return the rows of a stage (those that are ok), a table or a log.

    Args:
        store: The store.
        name: Its name.

    Raises:
        WrongUse: There is none of that name; the message lists what there is.
    """
    if name in (stages := store.stages()):
        return stages[name].read()
    if name in store.names("tables"):
        return store.table(name).read().to_arrow()
    if name in store.names("logs"):
        return store.log(name).read().to_arrow()
    names = [*stages, *store.names("tables"), *store.names("logs")]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    held = f"The store holds {', '.join(names)}" if names else "The store is empty: `reelcast run` fills it"
    raise WrongUse(f"there is no stage, table or log {name!r}. {hint}{held}")


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose lists and structs are JSON and whose bytes are left out, as CSV can hold them."""
    columns = []
    for name, dtype in frame.schema.items():
        if dtype == pl.Binary or dtype == pl.List(pl.Binary):
            continue
        if dtype.is_nested():
            values = [None if value is None else json.dumps(value, default=str) for value in frame[name].to_list()]
            columns.append(pl.Series(name, values, dtype=pl.String))
        else:
            columns.append(frame[name])
    return pl.DataFrame(columns)


def _write_npy(table: pa.Table, name: str, path: Path) -> str:
    numeric = [field.name for field in table.schema if field.name != "item" and _is_numeric(field)]
    if len(numeric) != 1:
        columns = ", ".join(numeric) or "none"
        raise WrongUse(
            f".npy holds one column of numbers: name it with --column. Columns of numbers of {name}: {columns}"
        )
    column = numeric[0]
    if shape_of(table.schema.field(column)) is None:
        array = table[column].to_numpy()
    else:
        array = to_numpy(table, column)
    if not isinstance(array, np.ndarray):
        raise WrongUse(f"the arrays of {name}.{column} differ in length: export .parquet instead")
    with written_beside(path) as scratch, scratch.open("wb") as file:
        np.save(file, array)
    text = f"{path}: {array.shape} {array.dtype} of {name}.{column}"
    if "item" not in table.column_names:
        return text
    items = path.with_suffix(".items.txt")
    write_text(items, "".join(f"{item}\n" for item in table["item"].to_pylist()))
    return f"{text}; the rows' items are in {items}"


def _is_numeric(field: pa.Field) -> bool:
    return shape_of(field) is not None or pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
