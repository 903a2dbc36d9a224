"""The section `[store]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from assets.settings.folder import Folder


class Store(dg.Config):
    """Where everything computed is kept."""

    path: Folder | None = Field(
        None,
        description="Folder of the store; made if it does not exist. If unset, `store/NAME`, where NAME is the name of the "
        "data set's folder.",
    )
    results: Folder | None = Field(
        None,
        description="Folder that receives the tables a person reads. If unset, `results/NAME`; with `path` set, `results` "
        "in the store.",
    )
    min_free_mb: int = Field(200, ge=0, description="Refuse to start with less free disk than this (MiB).")
