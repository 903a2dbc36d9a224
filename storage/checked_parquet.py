"""Parquet files of the store: written with a checksum per page, and verified whenever they are read."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.damage import DamageError, reading

# Rows of frames are some 500 kB: small row groups let a reader of ten rows read little more than ten rows.
ROW_GROUP_BYTES = 16 * 2**20


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table with page checksums, in row groups of some 16 MiB."""
    rows = len(table) * ROW_GROUP_BYTES // max(table.nbytes, 1)
    # Dictionaries and statistics of vectors and JPEGs cost more than half of the writing and help nobody.
    plain = [
        field.name for field in table.schema if not (pa.types.is_nested(field.type) or pa.types.is_binary(field.type))
    ]
    pq.write_table(
        table,
        path,
        compression="zstd",
        row_group_size=max(rows, 1),
        use_dictionary=plain,
        write_statistics=plain,
        write_page_checksum=True,
    )


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file whose pages are verified as they are read; files without checksums are read as they are.

    Raises:
        DamageError: The footer cannot be read.
        FileNotFoundError: The file is not there.
    """
    with reading(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        groups = sum(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
        if groups != file.metadata.num_rows:
            raise DamageError(path, f"its row groups have {groups} rows, the file says {file.metadata.num_rows}")
        return file


def read_table(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """Read a whole file, or the columns of `schema`, whose types they must have.

    Raises:
        DamageError: The file is not as it was written, or lacks a column.
        FileNotFoundError: The file is not there.
    """
    file = open_parquet(path)
    with reading(path):
        if schema is None:
            return file.read()
        # names that the file lacks are left out by `read`, and refused by `select`
        return file.read(schema.names).select(schema.names).cast(schema)


def read_rows(path: Path, rows: Sequence[int], schema: pa.Schema | None) -> pa.Table:
    """Read some rows of a file; only the row groups that hold any of them are read.

    Args:
        path: The file.
        rows: Row numbers, rising.
        schema: The columns to read, and the types they must have; None for all columns as they are.

    Raises:
        DamageError: A row group that is needed is not as it was written.
        FileNotFoundError: The file is not there.
    """
    file = open_parquet(path)
    tables, start, position = [], 0, 0
    with reading(path):
        schema = file.schema_arrow if schema is None else schema
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            first = position
            while position < len(rows) and rows[position] < stop:
                position += 1
            if position > first:
                table = file.read_row_group(group, schema.names).select(schema.names).cast(schema)
                if position - first < len(table):
                    table = table.take([row - start for row in rows[first:position]])
                tables.append(table)
            start = stop
    return pa.concat_tables(tables) if tables else schema.empty_table()


def row_groups(path: Path) -> Iterator[pa.Table]:
    """Read all row groups of a file, one after the other.

    Raises:
        DamageError: The file is not as it was written.
        FileNotFoundError: The file is not there.
    """
    file = open_parquet(path)
    for group in range(file.num_row_groups):
        with reading(path):
            rows = file.read_row_group(group)
        yield rows


def intact_row_groups(path: Path, schema: pa.Schema) -> list[pa.Table]:
    """Read the row groups that are as they were written; none where the footer itself is damaged.

    Args:
        path: The file.
        schema: Columns that each row group must have, beside others.
    """
    try:
        file = open_parquet(path)
    except DamageError:
        return []
    tables = []
    for group in range(file.num_row_groups):
        with suppress(DamageError), reading(path):
            rows = file.read_row_group(group)
            rows.select(schema.names).cast(schema)
            tables.append(rows)
    return tables
