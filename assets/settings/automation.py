"""The section `[automation]` of the settings."""

from __future__ import annotations

from zoneinfo import available_timezones

import dagster as dg
from pydantic import Field, field_validator

from assets.settings.read_at_start import ReadAtStart


class Automation(ReadAtStart):
    """When runs start automatically. Read at start, not from the launchpad; switch each one on in the UI or the shell."""

    owner: str = Field(
        "team:reelcast",
        description="Who is asked about an asset; the UI shows it. A team as `team:NAME`, or an e-mail address.",
    )
    nightly: str = Field("0 3 * * *", description="Cron schedule of the nightly rebuild of the memory bank.")
    upkeep: str = Field("30 5 * * *", description="Cron schedule of the store's upkeep.")
    timezone: str = Field("UTC", description="Time zone of both schedules, for example `Europe/Berlin`.")
    sensor_seconds: int = Field(60, ge=10, description="Seconds between two checks of the data folder for new files.")

    @field_validator("nightly", "upkeep")
    @classmethod
    def _cron(cls, cron: str) -> str:
        try:
            dg.ScheduleDefinition(name="validated", job_name="validated", cron_schedule=cron)
        except dg.DagsterInvalidDefinitionError:
            raise ValueError(f"five cron fields are allowed, for example '0 3 * * *'; got {cron!r}") from None
        return cron

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"a name of the time zone database is allowed, for example 'Europe/Berlin'; got {zone!r}")
        return zone
