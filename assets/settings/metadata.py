"""The section `[metadata]` of the settings."""

from __future__ import annotations

import difflib
from zoneinfo import available_timezones

import dagster as dg
from pydantic import Field, field_validator


class Metadata(dg.Config):
    """Metadata as features of the predictors (docs/metadata.md)."""

    time_zone: str = Field(
        "UTC",
        description="Time zone of the publication's hour and weekday, for example `Europe/Berlin`. Set it to where most of "
        "the audience lives.",
    )
    min_count: int = Field(
        5,
        ge=1,
        description="A category (author, language, hashtag, ...) has a name of its own if at least this many training items "
        "have it. All other categories are called `rare`.",
    )
    hashtags: int = Field(20, ge=0, description="Number of hashtags, the most frequent ones, that have a column each.")
    given_statistics: bool = Field(
        True,
        description="Use authors' given statistics whose date is unknown. They leak if they were collected after the forecast "
        "(followers gained by the success that is forecast); false leaves them out. Dated ones are always used.",
    )
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The vocabularies stay while less than this share of the training items has changed. 0: fitted again "
        "at any change.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        zones = {"UTC", *available_timezones()}
        if zone not in zones:
            near = difflib.get_close_matches(zone, zones, n=3, cutoff=0.6)
            hint = f" (is {' or '.join(near)} meant?)" if near else ""
            raise ValueError(
                f"a name of the time zone database is allowed, for example 'Europe/Berlin'; got {zone!r}{hint}"
            )
        return zone
