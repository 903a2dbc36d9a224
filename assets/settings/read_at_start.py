"""The mark of a setting that a process reads when it starts, so that a run cannot change it."""

from __future__ import annotations

from pydantic.fields import FieldInfo

# As `json_schema_extra` of a field: Dagster's launchpad does not show the field.
READ_AT_START = {"read_at_start": True}


def is_read_at_start(field: FieldInfo) -> bool:
    """Return whether a field has the mark."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and "read_at_start" in extra
