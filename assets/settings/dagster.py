"""The section `[dagster]` of the settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assets.settings.read_at_start import ReadAtStart


class Dagster(ReadAtStart):
    """Where Dagster keeps runs, schedules and checks. Read at start, not from the launchpad."""

    storage: Literal["sqlite", "postgres"] = Field(
        "sqlite", description="Files in the store, for one machine, or a PostgreSQL database, for several."
    )
    url_variable: str = Field(
        "DAGSTER_POSTGRES_URL",
        min_length=1,
        description="Environment variable with the database's URL, "
        "`postgresql+psycopg2://USER:PASSWORD@HOST:PORT/NAME`. The URL itself is written nowhere.",
    )
