"""The rows of JSON files: one object per line, a list of objects, or one object."""

import io
import json
from pathlib import Path

import polars as pl

from storage.datasets.column_names import VIDEO_TIERS, fold
from storage.datasets.errors import DatasetError
from storage.datasets.file_bytes import read_text_bytes

JSON = {".json", ".jsonl", ".ndjson"}
_ITEM_KEYS = {"item", *(fold(name) for tier in VIDEO_TIERS["item"] for name in tier)}


def is_json(path: Path) -> bool:
    """Return whether a file's name says that it is JSON, compressed or not."""
    return not JSON.isdisjoint(suffix.lower() for suffix in path.suffixes[-2:])


def read_json(path: Path) -> pl.DataFrame:
    """Return one row per object; the fields of nested objects become columns such as `stats.playCount`.

    Args:
        path: One object per line; or, in a `.json`, a list of objects, an object whose only list has them, or one object
            with an item.

    Raises:
        DatasetError: The file is empty, or is none of these.
    """
    data, what = read_text_bytes(path), "one JSON object per line"
    try:
        if ".json" in (suffix.lower() for suffix in path.suffixes[-2:]) and (rows := _listed(data)) is not None:
            what, data = "a list of JSON objects", "\n".join(map(json.dumps, rows)).encode()
        if not data.strip():
            raise DatasetError([f"{path}: the file is empty; {what} is needed"])
        frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
        while nested := [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Struct)]:
            frame = frame.unnest(nested, separator=".")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DatasetError([f"{path}: cannot be read as {what}: {reason}"]) from error
    return frame


def _listed(data: bytes) -> list[object] | None:
    """Return the objects of a list, or of an object that holds them; None for other text.

    Such an object has an item itself, has an object per column with the rows' numbers as keys (as pandas writes it), or has
    one list, such as `{"items": [...]}`.
    """
    try:
        whole = json.loads(data)
    except ValueError:
        return None
    if isinstance(whole, dict) and whole and all(isinstance(column, dict) for column in whole.values()):
        keys = [str(row) for row in range(max(map(len, whole.values())))]
        if all(column.keys() <= set(keys) for column in whole.values()):
            whole = [{name: column.get(key) for name, column in whole.items()} for key in keys]
    elif isinstance(whole, dict) and not _ITEM_KEYS.isdisjoint(map(fold, whole)):
        whole = [whole]
    elif isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list)]
        whole = lists[0] if len(lists) == 1 else None
    return whole if isinstance(whole, list) else None
