"""Whether a data set's files may have changed since they were read, told without reading them."""

import re
from pathlib import Path

import polars as pl

from storage.datasets.errors import DatasetError
from storage.datasets.table_files import find_table
from storage.file_marks import contents_mark, tree_mark
from storage.hashing import content_hash


def source_mark(folder: str | Path) -> str | None:
    """Mark of every file in a data set's folder; None where that may not be all that a reader looks at.

    Tables go by their content: an export that writes them again as they were changes nothing. Files in folders are many,
    and go by size and time of change.
    It may not where the table of videos has a column `path`: the files that it names may lie anywhere.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        return None
    try:
        tables = find_table(folder, "videos")
    except DatasetError:
        return None  # its reader says what is wrong
    if any(_names_files(table) for table in tables):
        return None
    # each folder by itself, so that one that is a link to another place is looked into
    folders = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    files = [child for child in folder.iterdir() if child.is_file() and not child.name.startswith(".")]
    return content_hash([contents_mark(files), *(tree_mark(child) for child in folders)])


def _names_files(table: Path) -> bool:
    """Whether a table has a column `path`; also where its header cannot be read here."""
    try:
        if ".parquet" in table.suffixes:
            columns = list(pl.read_parquet_schema(table))
        else:
            columns = pl.scan_csv(table, infer_schema=False).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError):
        return True
    # of a table with another separator the whole header is one name
    names = re.split(r"[,;\t|]", ",".join(columns))
    return not columns or "path" in {name.strip(' "\ufeff').lower() for name in names}
