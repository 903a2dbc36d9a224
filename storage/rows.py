"""One video's result in a stage: ok, missing or failed."""

import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from storage.arrays import shape_of, to_column
from storage.hashing import content_hash

Status = Literal["ok", "missing", "failed"]
DROPPED = "dropped"  # tombstone that hides the item's older rows; readers never see it

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
        # Of an item's rows in all parts, the one with the highest commit number is current.
        pa.field("commit", pa.int64(), nullable=False),
    ]
)
MESSAGE_LENGTH = 2000


@dataclass(frozen=True)
class Row:
    """One stage's result for one item. Use `Row.ok`, `Row.missing` or `Row.failed` to make one.

    Attributes:
        item: The item's id.
        input_hash: Content hash of the inputs that were used.
        status: `ok`, `missing` or `failed`.
        payload: Column -> value, only if the status is `ok`.
        error_type: The type of the error, only if the status is `failed`.
        error_message: Why the item is missing or failed.

    Example:
        >>> Row.failed("7", "hash", ValueError("no frames")).error_type
        'ValueError'
    """

    item: str
    input_hash: str
    status: Status
    payload: Mapping[str, Any] | None = None
    error_type: str | None = None
    error_message: str | None = None

    @staticmethod
    def ok(item: str, input_hash: str, payload: Mapping[str, Any]) -> "Row":
        """Return the row of an item that was computed."""
        return Row(item, input_hash, "ok", payload)

    @staticmethod
    def missing(item: str, input_hash: str, reason: str) -> "Row":
        """Return the row of an item that has nothing to compute from; `reason` names it ('no audio track')."""
        return Row(item, input_hash, "missing", error_message=reason)

    @staticmethod
    def failed(item: str, input_hash: str, error: BaseException) -> "Row":
        """Return the row of an item whose computation raised `error`.

        `error_type` is the name of the error's class, followed by its attribute `kind` if it has one (MediaError).
        """
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
    """Convert the rows' payload to Arrow columns, and hash it.

    The hash is computed from the values as stored (float16 after rounding), because stages downstream use those. All
    missing rows have the same hash; a failed row has none.

    Args:
        rows: n rows.
        payload: The columns.

    Returns:
        One array per column, null for rows that are not ok, and the output hash of each row.

    Raises:
        ValueError: A payload does not fit the schema; the message names the item.
    """
    for row in rows:
        names = set(row.payload or ())
        if row.status == "ok" and names != set(payload.names):
            raise ValueError(
                f"item {row.item}: payload has {sorted(names)}, must have all of {sorted(payload.names)} and no others"
            )
        if row.status != "ok" and row.payload is not None:
            raise ValueError(f"item {row.item}: a {row.status} row has no payload, but one was given")
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
    """Return the items whose stored payload differs from their output hash.

    Args:
        table: Rows with all state and payload columns of a part.
    """
    payload = [field for field in table.schema if field.name not in STATE.names]
    columns = [table[field.name].combine_chunks() for field in payload]
    hashes = _output_hashes(columns, payload, table["status"].to_pylist())
    stored = zip(table["item"].to_pylist(), table["output_hash"].to_pylist(), strict=True)
    return [item for (item, before), now in zip(stored, hashes, strict=True) if before != now]


def check_distinct(items: Sequence[str]) -> None:
    """Raise ValueError if an item is given twice."""
    given = pl.Series(items, dtype=pl.String)
    if given.n_unique() < len(given):
        twice = given.filter(given.is_duplicated()).min()
        raise ValueError(f"item {twice} is given twice; each item is allowed once")
