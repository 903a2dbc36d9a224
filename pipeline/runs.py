"""Runs in progress. Dagster keeps a run that was killed in a shell as `STARTED` forever; here it counts as failed."""

from __future__ import annotations

import socket
import time

import dagster as dg
from dagster import DagsterRunStatus

from assets.settings import HOST_TAG, run_mark
from storage.process_lock import is_present

WAITING = [DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING]
WORKING = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
# a run has no process with its mark while it starts, while it ends, and between the processes of two steps
SILENCE_SECONDS = 120.0


def going_on(instance: dg.DagsterInstance, *, silence: float = SILENCE_SECONDS) -> list[dg.DagsterRun]:
    """Return the runs that are queued or in progress. Runs whose processes are gone are reported as failed and left out.

    Args:
        instance: The Dagster instance.
        silence: Seconds without a process and without an event after which a run counts as gone.
    """
    found = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=[*WAITING, *WORKING])):
        run = record.dagster_run
        if run.status == DagsterRunStatus.QUEUED or _alive(instance, record, silence):
            found.append(run)
        else:
            instance.report_run_failed(
                run,
                "The process of this run is gone: it was killed, or its machine stopped. Its finished work is kept.",
            )
    return found


def _alive(instance: dg.DagsterInstance, record: dg.RunRecord, silence: float) -> bool:
    host = record.dagster_run.tags.get(HOST_TAG)
    if host and host != socket.gethostname():  # its processes cannot be seen from here: Dagster's monitor watches them
        return True
    if is_present(run_mark(instance, record.dagster_run.run_id)):
        return True
    return time.time() - record.update_timestamp.timestamp() < silence
