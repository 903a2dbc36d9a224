"""The section `[data]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from assets.settings.folder import Folder


class Data(dg.Config):
    """Which data set is read."""

    folder: Folder = Field("data/demo", description="Folder of the data set (MicroLens layout or the plain form).")
    prefix: str | None = Field(None, description="File prefix in the MicroLens layout; found by itself if unset.")
