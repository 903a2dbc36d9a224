"""The section `[run]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Run(dg.Config):
    """How the work is carried out. Nothing here changes a result."""

    workers: int = Field(0, ge=0, description="Processes that decode; 0 is one a core.")
    shard_size: int = Field(200, ge=1, description="Videos a part file; a killed run loses at most this much.")
    failure_limit: float = Field(
        0.25,
        ge=0,
        le=1,
        description="A stage with a larger share of failed rows stops the run, and so do more videos whose files have gone.",
    )
    retry_failed: bool = Field(False, description="Compute rows again that failed before.")
    executor: Literal["in_process", "multiprocess"] = Field(
        "in_process",
        description="Steps of a run in one process, or one process a step. Read at start, not in the launchpad.",
    )
