"""The section `[upkeep]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field


class Upkeep(dg.Config):
    """What the upkeep keeps of the store's past."""

    keep_versions: int = Field(
        3, ge=1, description="Versions kept of each table and fitted model (of the memory bank: `bank.keep`)."
    )
    retention_hours: float = Field(
        24.0, gt=0, description="Files of merged parts stay this long, for those who had opened them."
    )
    most_parts: int = Field(64, ge=2, description="A stage with more part files is merged.")
