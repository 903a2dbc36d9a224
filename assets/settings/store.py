"""The section `[store]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from assets.settings.folder import Folder
from assets.settings.read_at_start import READ_AT_START


class Store(dg.Config):
    """Where all computed data and results are kept."""

    path: Folder | None = Field(
        None,
        description="Folder of the store; created if it does not exist. Or a bucket, `s3://BUCKET/PREFIX`. Unset: "
        "`store/NAME`, where NAME is the name of the data set's folder. Read at start, not from the launchpad.",
        json_schema_extra=READ_AT_START,
    )
    cache: Folder | None = Field(
        None,
        description="With a store in a bucket: folder with what this machine read or wrote of it. Unset: "
        "`store-cache/BUCKET-PREFIX`. Read at start, not from the launchpad.",
        json_schema_extra=READ_AT_START,
    )
    options: dict[str, str] = Field(
        {},
        description="With a store in a bucket: obstore's options, such as `endpoint`, `region` and `allow_http`. Credentials "
        "are read from `AWS_ACCESS_KEY_ID` and the other usual variables. Read at start, not from the launchpad.",
        json_schema_extra=READ_AT_START,
    )
    results: Folder | None = Field(
        None,
        description="Folder of the result tables. Unset: `results/NAME`, or `results` in the store if `path` is set.",
    )
    min_free_mb: int = Field(200, ge=0, description="A run refuses to start with less free disk space than this (MiB).")
