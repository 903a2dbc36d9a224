"""The section `[ray]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from assets.settings.read_at_start import READ_AT_START


class Ray(dg.Config):
    """The Ray cluster of `run.executor = "ray"`, and what a shard takes of it. Nothing here changes a result."""

    address: str = Field(
        "auto", description="Address of the cluster, HOST:PORT. auto: the one that runs on this machine."
    )
    cpus: float = Field(1.0, gt=0, description="CPU cores that a shard takes. It decodes with as many processes.")
    gpus: dict[str, float] = Field(
        {},
        description='GPUs that a shard of a stage takes, such as {"visual_embeddings": 0.5}: two shards then share one GPU. '
        "Shards of other stages take none.",
    )
    max_retries: int = Field(
        3, ge=0, description="How often a shard is started again after its process or its machine was lost."
    )
    jobs: str | None = Field(
        None,
        description="URL of the cluster's dashboard, such as http://head:8265, to which the daemon submits its runs as Ray "
        "jobs. Unset: a run is a process of the machine that has the code location. Read at start, not from the launchpad.",
        json_schema_extra=READ_AT_START,
    )
