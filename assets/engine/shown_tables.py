"""What an asset's page shows of a table: its number of rows, its columns with descriptions, and its first rows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from assets.engine.column_descriptions import MOMENTS, description_of
from storage.store import Store

PREVIEW = 5
LONGEST_TEXT = 80
MOST_COLUMNS = 12  # of the preview; further ones are in the column schema
FIELDS = re.compile(r"\(\{.*\}\)")  # fields of a struct, which would take the page's whole width


def shown_tables(store: Store, made: Sequence[tuple[str, str]]) -> dict[str, dg.MetadataValue]:
    """Return metadata that describe the tables and stages that an asset wrote.

    Args:
        store: The store.
        made: Kind ("tables", "stages", ...) and name of everything that the asset wrote. If the first
            is a table or a stage, the asset has its row count and column schema. Every table and stage has a preview.
    """
    result: dict[str, dg.MetadataValue] = {}
    stages = store.stages()
    for number, (kind, name) in enumerate(made):
        if kind == "tables" and store.table(name).state():
            rows, first = store.table(name).head(PREVIEW)
        elif kind == "stages" and name in stages:
            states = stages[name].states()
            computed = states.filter(pl.col("status") == "ok")
            rows, items = len(states), computed["item"].head(PREVIEW).to_list()
            first = pl.from_arrow(stages[name].read(items=items))
        else:
            continue
        if number == 0:
            result["dagster/row_count"] = dg.MetadataValue.int(rows)
            result["dagster/column_schema"] = dg.MetadataValue.table_schema(column_schema(name, first.schema))
            result["dagster/table_name"] = dg.MetadataValue.text(name)
            result["preview"] = table_of(first)
        else:
            result[f"preview of {name}"] = table_of(first)
    return result


def column_schema(table: str, schema: pl.Schema) -> dg.TableSchema:
    """Return a table's columns with their types and descriptions.

    Args:
        table: Name of the table or stage.
        schema: Its columns.
    """
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name=name, type=FIELDS.sub("", str(kind)), description=description_of(table, name))
            for name, kind in schema.items()
        ]
    )


def table_of(frame: pl.DataFrame, *, longest: int = LONGEST_TEXT) -> dg.TableMetadataValue:
    """Return rows as a table that Dagster shows without a click; moments are dates, long values are shortened.

    Args:
        frame: The rows, of which the first `MOST_COLUMNS` columns are shown.
        longest: Longest text in characters.
    """
    frame = frame.select(frame.columns[:MOST_COLUMNS])
    types = {float: "float", int: "int", bool: "bool"}
    records = [
        {name: shown_value(name, value, longest=longest) for name, value in row.items()} for row in frame.to_dicts()
    ]
    columns = [
        dg.TableColumn(name=name, type=types.get(type(records[0][name]) if records else str, "string"))
        for name in frame.columns
    ]
    return dg.MetadataValue.table(
        records=[dg.TableRecord(record) for record in records], schema=dg.TableSchema(columns=columns)
    )


def shown_value(column: str, value: Any, *, longest: int = LONGEST_TEXT) -> str | int | float | bool:
    """Return a value as a person reads it: a moment as a date and time in UTC, bytes and long lists by their size.

    Args:
        column: Name of its column, which says whether a number is a moment.
        value: The value.
        longest: Longest text in characters.

    Example:
        >>> shown_value("t0", 1_780_000_000_000)
        '2026-05-28 20:26:40'
    """
    if value is None:
        return ""
    if column in MOMENTS and isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bytes):
        return f"{len(value) / 1000:.1f} kB"
    if isinstance(value, datetime | date):
        return str(value)
    if isinstance(value, list):
        return _cut(_shown_list(column, value), longest)
    if isinstance(value, Mapping):
        return _cut(", ".join(f"{name} {shown_value(name, part)}" for name, part in value.items()), longest)
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else "n/a"  # JSON has no NaN
    return value if isinstance(value, int | bool) else _cut(str(value), longest)


def _shown_list(column: str, values: list[Any]) -> str:
    if values and isinstance(values[0], list | bytes):
        size = sum(len(value) for value in values if value is not None)
        return (
            f"{len(values)} lists"
            if isinstance(values[0], list)
            else f"{len(values)} × {size / len(values) / 1000:.1f} kB"
        )
    if len(values) > 8 and isinstance(values[0], float):
        return f"{len(values)} numbers"
    return ", ".join(str(shown_value(column, value)) for value in values)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
