"""Settings that a process reads when it starts, so that a run cannot change them. Dagster's launchpad does not show them."""

from __future__ import annotations

import dagster as dg
from pydantic import BaseModel

READ_AT_START = {"read_at_start": True}  # as `json_schema_extra` of a field


class ReadAtStart(dg.Config):
    """A section of the settings of which a run reads nothing."""


def is_read_at_start(section: type[BaseModel], field: str) -> bool:
    """Return whether a field of a section is read at start.

    Args:
        section: The section's class.
        field: Name of the field.
    """
    extra = section.model_fields[field].json_schema_extra
    return issubclass(section, ReadAtStart) or (isinstance(extra, dict) and "read_at_start" in extra)
