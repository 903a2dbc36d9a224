"""The section `[run]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field

from assets.settings.read_at_start import READ_AT_START


class Run(dg.Config):
    """How runs execute. Nothing here changes a result, except for rounding."""

    workers: int = Field(0, ge=0, description="Processes that decode media files. 0: one per core.")
    training_processes: int = Field(
        0,
        ge=0,
        description="Models that are trained at once on a CPU, each in a process with one thread. 0: one per core, or a few "
        "more where that leaves no core idle at the end. Small sets are trained in one process.",
    )
    training_devices: int = Field(
        1,
        ge=0,
        description="GPUs of this machine that train one network together, each with a part of every minibatch (torchrun). "
        "0: all. On a CPU, processes. Forecasts change by rounding, and with dropout by its random numbers.",
    )
    shard_size: int = Field(
        200,
        ge=1,
        description="Videos per part file. A killed run loses at most this many videos of work. Rows that cost next to nothing "
        "(imported or missing ones, metadata, videos without files) come in parts of twenty times as many.",
    )
    failure_limit: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Stop the run if a stage has a larger share of failed rows, or if a larger share of video files is gone.",
    )
    retry_failed: bool = Field(False, description="Compute rows that failed before again.")
    executor: Literal["in_process", "multiprocess", "ray", "k8s"] = Field(
        "in_process",
        description="All steps in one process; one process per step; steps in one process, with the shards of stages on a Ray "
        "cluster; one Kubernetes pod per step. Read at start, not from the launchpad.",
        json_schema_extra=READ_AT_START,
    )
