"""The origin of runs that a shell starts: with it the UI shows them on its overview, in the row of their job."""

from __future__ import annotations

import functools

import dagster as dg

# Dagster names an origin only for runs that its web server or daemon starts, and has no public way to name one.
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

LOCATION = "pipeline.definitions"  # as `[tool.dagster]` in pyproject.toml names it
REPOSITORY = "__repository__"
JOB = "everything"


def name_origin_of_runs(instance: dg.DagsterInstance) -> None:
    """Make runs that this process creates in an instance belong to the job `everything` of the UI's code location."""
    target = LoadableTargetOrigin(module_name=LOCATION)
    location = ManagedGrpcPythonEnvCodeLocationOrigin(loadable_target_origin=target, location_name=LOCATION)
    origin = RemoteJobOrigin(repository_origin=RemoteRepositoryOrigin(location, REPOSITORY), job_name=JOB)
    instance.create_run_for_job = functools.partial(instance.create_run_for_job, remote_job_origin=origin)
