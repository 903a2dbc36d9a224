"""The section `[dagster]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Dagster(dg.Config):
    """Where Dagster keeps runs, schedules and checks. Read at start, not from the launchpad."""

    storage: Literal["sqlite", "postgres"] = Field(
        "sqlite",
        description="Files in the store, for one machine, or a PostgreSQL database, for several.",
    )
    url_variable: str = Field(
        "DAGSTER_POSTGRES_URL",
        min_length=1,
        description="Environment variable with the database's URL, postgresql://USER:PASSWORD@HOST:PORT/NAME. The URL itself "
        "is written nowhere.",
    )
