"""A stage's payload schema as recorded in the store, for readers that do not know the stage's code."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

import pyarrow as pa

from storage.checked_parquet import open_parquet
from storage.damage import DamageError, logger, reading
from storage.parts import layout_of
from storage.rows import STATE

PAYLOAD_FILE = "payload.arrow"


def read_payload_schema(file: Path) -> pa.Schema:
    """Read a stage's payload schema from its `payload.arrow`.

    Raises:
        DamageError: The file is damaged: it cannot be read, or the stage has no part with these columns.
        FileNotFoundError: The file does not exist.
    """
    with reading(file):
        payload = pa.ipc.read_schema(pa.py_buffer(file.read_bytes()))
        if not any(file.parent.glob(f"parts/*/{layout_of(payload)}")):
            raise DamageError(file, "the stage holds no part with these columns")
        return payload


def stored_payload(folder: Path) -> pa.Schema | None:
    """Return the payload schema of the stage in a folder; None if the folder holds no stage.

    If `payload.arrow` is missing or damaged, the schema is taken from the newest part, with a warning.
    """
    file = folder / PAYLOAD_FILE
    try:
        return read_payload_schema(file)
    except FileNotFoundError:
        problem = f"{file} is missing"
    except DamageError as error:
        problem = str(error)
    for part in sorted(folder.glob("parts/*/*/*.parquet"), key=lambda part: part.name, reverse=True):
        with suppress(DamageError, FileNotFoundError):
            columns = [field for field in open_parquet(part).schema_arrow if field.name not in STATE.names]
            for payload in map(pa.schema, product(*map(_spellings, columns))):
                if layout_of(payload) == part.parent.name:
                    logger.warning("%s; the columns are taken from the newest part, %s", problem, part)
                    return payload
    return None


def _spellings(field: pa.Field) -> Iterator[pa.Field]:
    """Yield the fields that a column may have been written from. Parquet renames the elements of all lists `element`."""
    kind = field.type
    if not pa.types.is_nested(kind) or pa.types.is_struct(kind):
        yield field
        return
    for value in _spellings(kind.value_field):
        for name in ("item", "element"):
            element = value.with_name(name)
            fixed = pa.types.is_fixed_size_list(kind)
            yield field.with_type(pa.list_(element, kind.list_size) if fixed else pa.list_(element))
