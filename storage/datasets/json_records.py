"""A reader of JSON files that hold a table: a list of objects, or an object of columns as pandas writes it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from storage.datasets.column_names import fold
from storage.datasets.errors import DatasetError
from storage.datasets.file_bytes import not_utf8, read_text_bytes
from storage.datasets.tabular import Part, Tabular

FORMS = (
    'a list of objects, [{"Pid": "1", ...}, ...], or an object of columns, {"Pid": {"0": "1", ...}, ...}, is allowed'
)


def read_json_records(path: Path, names: Mapping[str, str]) -> Tabular:
    """Read a JSON file that holds one row per object of a list, or one object per column whose keys count the rows.

    Args:
        path: The file, possibly compressed.
        names: Column of the file -> its name in the table; compared without case, blanks and punctuation. Columns that are
            not named are not read.

    Returns:
        The table. All columns are String: numbers as JSON writes them, 1 and 0 for true and false; null where the file has
        null, an empty text or no such column. Its places are rows from 1.

    Raises:
        DatasetError: The file is no JSON or has another form.
    """
    raw = read_text_bytes(path)
    try:
        content = json.loads(raw)
    except UnicodeDecodeError as error:
        raise not_utf8(path, raw, error) from None
    except json.JSONDecodeError as error:
        raise DatasetError([f"{path}, line {error.lineno}: not JSON ({error.msg}); is the file complete?"]) from None
    wanted = {fold(written): name for written, name in names.items()}
    columns: dict[str, list[Any]] = {name: [] for name in names.values()}
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        height = len(content)
        for row in content:
            values = {wanted[key]: value for written, value in row.items() if (key := fold(written)) in wanted}
            for name, column in columns.items():
                column.append(values.get(name))
    elif isinstance(content, dict) and all(isinstance(column, dict) for column in content.values()):
        height = max(map(len, content.values()), default=0)
        keys = [str(row) for row in range(height)]
        for written, column in content.items():
            if set(column) != set(keys):
                raise DatasetError([f"{path}: column {written!r} has no rows 0 to {height - 1}; {FORMS}"])
            if name := wanted.get(fold(written)):
                columns[name] = [column[key] for key in keys]
    else:
        raise DatasetError([f"{path}: {FORMS}"])
    frame = pl.DataFrame(
        {name: [_text(value) for value in column or [None] * height] for name, column in columns.items()},
        schema=dict.fromkeys(columns, pl.String),
    )
    part = Part(path, "row", np.arange(1, height + 1))
    return Tabular(
        frame, [part], {name: (name,) for name in columns}, {name: written for written, name in names.items()}
    )


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        value = int(value)
    return (value if isinstance(value, str) else json.dumps(value)).strip() or None
