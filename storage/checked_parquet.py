"""Parquet files with a checksum per page, which is verified at each read."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.damage import DamageError, reading

# A row of frames takes about 500 kB. With small row groups, reading ten rows reads little more than ten rows.
ROW_GROUP_BYTES = 16 * 2**20


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table with page checksums, in row groups of about 16 MiB."""
    rows = len(table) * ROW_GROUP_BYTES // max(table.nbytes, 1)
    # Dictionaries and statistics of vectors and JPEGs take more than half of the writing time and speed up no read.
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
    """Open a file whose page checksums are verified at each read. Files without checksums can be read too.

    Raises:
        DamageError: The footer cannot be read.
        FileNotFoundError: The file does not exist.
    """
    with reading(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        groups = sum(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))
        if groups != file.metadata.num_rows:
            raise DamageError(path, f"its row groups have {groups} rows, but its footer says {file.metadata.num_rows}")
        return file


def read_table(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """Read a whole file.

    Args:
        path: The file.
        schema: The columns to read, and their types; None for all columns as they are.

    Raises:
        DamageError: The file is damaged, or lacks a column.
        FileNotFoundError: The file does not exist.
    """
    file = open_parquet(path)
    with reading(path):
        if schema is None:
            return file.read()
        # `read` silently ignores columns that the file lacks, `select` raises an error
        return file.read(schema.names).select(schema.names).cast(schema)


def read_rows(path: Path, rows: Sequence[int], schema: pa.Schema | None) -> pa.Table:
    """Read some rows of a file. Only the row groups with these rows are read.

    Args:
        path: The file.
        rows: Row numbers in ascending order.
        schema: The columns to read, and their types; None for all columns as they are.

    Raises:
        DamageError: One of these row groups is damaged.
        FileNotFoundError: The file does not exist.
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
    """Yield the row groups of a file, one at a time.

    Raises:
        DamageError: The file is damaged.
        FileNotFoundError: The file does not exist.
    """
    file = open_parquet(path)
    for group in range(file.num_row_groups):
        with reading(path):
            rows = file.read_row_group(group)
        yield rows


def intact_row_groups(path: Path, schema: pa.Schema) -> list[pa.Table]:
    """Return the intact row groups of a damaged file, or an empty list if its footer is damaged.

    Args:
        path: The file.
        schema: Columns that each row group must have; further ones are allowed.
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
