"""A digest of a data set's files that shows whether they may have changed since they were read."""

import re
from pathlib import Path

import polars as pl

from storage.datasets.errors import DatasetError
from storage.datasets.lone_tables import lone_table
from storage.datasets.table_files import find_table
from storage.file_marks import contents_mark, tree_mark
from storage.hashing import content_hash

UNREAD = {".json", ".jsonl", ".ndjson", ".zip", ".bz2", ".xz"}  # formats whose columns `_names_files` does not look at


def source_mark(folder: str | Path) -> str | None:
    """Return a digest of all files in a data set's folder; None if a reader may use other files too.

    That is the case if the table of videos has a column `path`, whose files may be anywhere. Files directly in the folder
    are hashed by content, so an export that rewrites the same table changes nothing. Files in subfolders are many, so they
    are hashed by size and modification time.
    """
    folder = Path(folder).expanduser().absolute()
    if not folder.is_dir():
        return None
    try:
        tables = find_table(folder, "videos") or lone_table(folder)
    except DatasetError:
        return None  # the reader reports the problem
    if any(_names_files(table) for table in tables):
        return None
    # one mark per folder, so that a folder that is a symbolic link is followed
    folders = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    files = [child for child in folder.iterdir() if child.is_file() and not child.name.startswith(".")]
    return content_hash([contents_mark(files), *(tree_mark(child) for child in folders)])


def _names_files(table: Path) -> bool:
    """Return whether a table has a column `path`. A table whose header cannot be read counts as having one."""
    try:
        if UNREAD.intersection(table.suffixes):
            return True
        if ".parquet" in table.suffixes:
            columns = list(pl.read_parquet_schema(table))
        else:
            columns = pl.scan_csv(table, infer_schema=False).collect_schema().names()
    except (pl.exceptions.PolarsError, OSError):
        return True
    # polars assumes commas: with another separator, the whole header is one name
    names = re.split(r"[,;\t|]", ",".join(columns))
    return not columns or "path" in {name.strip(' "\ufeff').lower() for name in names}
