"""One video's result in a stage: computed, missing or failed."""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from storage.arrays import shape_of, to_column
from storage.hashing import content_hash

Status = Literal["ok", "missing", "failed"]
DROPPED = "dropped"  # tombstone: hides the item's older rows; never shown

STATE = pa.schema(
    [
        pa.field("item", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("input_hash", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("output_hash", pa.string()),
        pa.field("error_type", pa.string()),
        pa.field("error_message", pa.string()),
        pa.field("attempts", pa.int32()),
        pa.field("shard", pa.string()),
        pa.field("computed_at", pa.timestamp("us", tz="UTC")),
        # Decides which of an item's rows is current, whatever part it lies in: the highest.
        pa.field("commit", pa.int64(), nullable=False),
    ]
)
MESSAGE_LENGTH = 2000


@dataclass(frozen=True)
class Row:
    """What one stage found for one item: make it with `Row.ok`, `Row.missing` or `Row.failed`.

    input_hash: content hash of the inputs that were used. payload: column -> value, for `ok` only.
    """

    item: str
    input_hash: str
    status: Status
    payload: Mapping[str, Any] | None = None
    error_type: str | None = None
    error_message: str | None = None

    @staticmethod
    def ok(item: str, input_hash: str, payload: Mapping[str, Any]) -> "Row":
        return Row(item, input_hash, "ok", payload)

    @staticmethod
    def missing(item: str, input_hash: str, reason: str) -> "Row":
        """There is nothing to compute from; `reason` says what was not there ('no audio track')."""
        return Row(item, input_hash, "missing", error_message=reason)

    @staticmethod
    def failed(item: str, input_hash: str, error: BaseException) -> "Row":
        """The type kept is the error's `kind` where it has one (MediaError), else its class."""
        kind = getattr(error, "kind", None)
        name = f"{type(error).__name__}.{kind}" if kind else type(error).__name__
        message = str(error) or traceback.format_exception_only(error)[-1].strip()
        return Row(item, input_hash, "failed", error_type=name, error_message=message[:MESSAGE_LENGTH])


def _cell(array: pa.Array, position: int, shape: tuple | None) -> Any:
    value = array[position]
    if not value.is_valid or shape is None:
        return value.as_py()
    flat = value.values.flatten() if shape[0] is None else value.values
    return flat.to_numpy(zero_copy_only=False)


def payload_columns(rows: Sequence[Row], payload: pa.Schema) -> tuple[list[pa.Array], list[str | None]]:
    """The rows' payload as arrow columns (null for rows that are not ok), and the output hash of each row.

    The hash is taken from what is stored (float16 after rounding), so that stages downstream hash what they really use.
    A missing row hashes as missing; a failed one has no hash. Raises ValueError for a payload that the schema does not
    fit, naming the item.
    """
    for row in rows:
        given = set(row.payload or ())
        if row.status == "ok" and given != set(payload.names):
            raise ValueError(
                f"item {row.item}: payload has {sorted(given)}, must have all of {sorted(payload.names)} and no others"
            )
        if row.status != "ok" and row.payload is not None:
            raise ValueError(f"item {row.item}: a {row.status} row has no payload")
    columns = []
    for field in payload:
        values = [row.payload[field.name] if row.payload else None for row in rows]
        try:
            columns.append(pa.array(values, field.type) if shape_of(field) is None else to_column(field, values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            items = ", ".join(row.item for row in rows[:3])
            raise ValueError(f"column {field.name} of {len(rows)} rows (items {items}, ...): {error}") from error
    return columns, _output_hashes(columns, payload, [row.status for row in rows])


def _output_hashes(
    columns: Sequence[pa.Array], payload: Iterable[pa.Field], statuses: Sequence[str]
) -> list[str | None]:
    shapes = [shape_of(field) for field in payload]
    hashes: list[str | None] = []
    for position, status in enumerate(statuses):
        if status == "ok":
            cells = [_cell(column, position, shape) for column, shape in zip(columns, shapes)]
            hashes.append(content_hash(*cells))
        else:
            hashes.append(content_hash("missing") if status == "missing" else None)
    return hashes


def changed_items(table: pa.Table) -> list[str]:
    """Items whose stored payload is not what their output hash was taken from.

    Args:
        table: Rows with all state and payload columns, as a part holds them.
    """
    payload = [field for field in table.schema if field.name not in STATE.names]
    columns = [table[field.name].combine_chunks() for field in payload]
    hashes = _output_hashes(columns, payload, table["status"].to_pylist())
    stored = zip(table["item"].to_pylist(), table["output_hash"].to_pylist(), strict=True)
    return [item for (item, before), now in zip(stored, hashes, strict=True) if before != now]


def check_distinct(items: Sequence[str]) -> None:
    values, counts = np.unique(np.asarray(items, dtype=object).astype(str), return_counts=True)
    if len(values) < len(items):
        raise ValueError(f"item {values[counts > 1][0]} is given twice; one row an item is allowed in a commit")
