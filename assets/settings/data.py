"""The section `[data]` of the settings."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field, field_validator

from assets.settings.folder import Folder
from assets.settings.read_at_start import READ_AT_START


class Data(dg.Config):
    """The data set to read."""

    folder: Folder = Field(
        "data/demo",
        description="Folder of the data set (docs/datasets.md has the layouts). Read at start, not from the launchpad.",
        json_schema_extra=READ_AT_START,
    )
    prefix: str | None = Field(None, description="File prefix in the MicroLens layout. Unset: detected.")
    as_of: str | None = Field(
        None,
        description="Time at which the data were collected: a date (its start, UTC), an ISO-8601 time, or unix time. Later "
        "events are not used, and counts are complete up to this time. Unset: the last event or count, ignoring stray "
        "late ones (docs/datasets.md).",
    )
    features: list[str] = Field(
        [],
        description="Further columns of the table of videos that become features, by name. A column of numbers is numeric, any "
        "other a category; `name:category` makes a category of numbers.",
    )

    @field_validator("as_of", mode="before")
    @classmethod
    def _moment(cls, moment: Any) -> str | None:
        if isinstance(moment, date | int):  # the types that TOML gives
            moment = str(moment)
        if isinstance(moment, str):
            _read(moment)
        return moment

    @property
    def as_of_ms(self) -> int | None:
        """Time at which the data were collected, in unix ms. None if unset: the data set's own end applies."""
        return None if self.as_of is None else _read(self.as_of)


def _read(moment: str) -> int:
    from storage.datasets import read_moment  # loads Polars, which most commands do not need

    return read_moment(moment)
