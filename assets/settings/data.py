"""The section `[data]` of the settings."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field, field_validator

from assets.settings.folder import Folder
from storage.datasets import read_moment


class Data(dg.Config):
    """Which data set is read."""

    folder: Folder = Field("data/demo", description="Folder of the data set (MicroLens layout or the plain form).")
    prefix: str | None = Field(None, description="File prefix in the MicroLens layout; found by itself if unset.")
    as_of: str | None = Field(
        None,
        description="When the data were taken: a date (its first moment, UTC), an ISO-8601 time, or unix time. Later events "
        "are not used, and labels are complete up to here. Unset: the last event that does not stand apart "
        "(docs/datasets.md).",
    )

    @field_validator("as_of", mode="before")
    @classmethod
    def _moment(cls, moment: Any) -> str | None:
        if isinstance(moment, date | int):  # as TOML has them
            moment = str(moment)
        if isinstance(moment, str):
            read_moment(moment)
        return moment

    @property
    def as_of_ms(self) -> int | None:
        """The moment at which the data were taken, unix ms; None for their own end."""
        return None if self.as_of is None else read_moment(self.as_of)
