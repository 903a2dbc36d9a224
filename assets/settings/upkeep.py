"""The section `[upkeep]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field


class Upkeep(dg.Config):
    """How much of the store's history the upkeep keeps."""

    keep_versions: int = Field(
        3,
        ge=1,
        description="Versions kept of each table and fitted model. The memory bank has its own setting, `bank.keep`.",
    )
    retention_hours: float = Field(
        24.0,
        gt=0,
        description="Part files that were merged are deleted after this time, so that open readers can finish.",
    )
    most_parts: int = Field(64, ge=2, description="A stage with more part files than this is merged.")
