"""The section `[store]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from assets.settings.folder import Folder


class Store(dg.Config):
    """Where everything computed is kept."""

    path: Folder = Field("store", description="Folder of the store; made if it does not exist.")
    results: Folder = Field("results", description="Folder that receives the tables a person reads.")
    min_free_mb: int = Field(200, ge=0, description="Refuse to start with less free disk than this (MiB).")
