"""Schedules and the sensor: the nightly rebuild of the memory bank, increments for new data, the store's upkeep.

All are off until somebody switches them on, in the UI or with `dagster schedule start` and `dagster sensor start`. Dagster's
daemon (`dagster dev` or `dagster-daemon run`) runs them. None starts a run while another run is in progress.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets.engine.store_access import open_store
from assets.memory import memory_bank
from assets.settings import Settings
from pipeline.launchpad import settings_resource
from pipeline.runs import going_on
from storage.upkeep import upkeep as keep_up

EVERYTHING = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all(),
    description="The whole graph, from videos to predictions; only what is new is computed.",
)
STARTED_BY = "reelcast/started_by"


@dg.op(pool="catalog")
def merge_and_remove(context: dg.OpExecutionContext, settings: Settings) -> None:
    """Merge small parts, remove old versions and the files of killed writers (docs/storage.md)."""
    chosen = settings.upkeep
    done = keep_up(
        open_store(settings),
        retention=chosen.retention_hours * 3600,
        most_parts=chosen.most_parts,
        keep_versions=chosen.keep_versions,
        keep_of={memory_bank.NAME: settings.bank.keep},
    )
    context.log.info("upkeep: %d parts merged, %d leftovers removed", sum(done.merged.values()), done.leftovers)
    context.add_output_metadata({**done._asdict()})


@dg.graph(description="Merge small part files, and remove old versions and the files of killed writers.")
def upkeep() -> None:
    """Run the store's upkeep."""
    merge_and_remove()


def jobs(settings: Settings) -> list[Any]:
    """Return the job over all assets and the job of the upkeep, whose launchpad shows only the sections that it reads.

    Args:
        settings: The settings of the file and the environment.
    """
    return [
        EVERYTHING,
        upkeep.to_job(resource_defs={"settings": settings_resource(settings, ("store", "bank", "upkeep"))}),
    ]


def automation(settings: Settings) -> tuple[list[dg.ScheduleDefinition], list[dg.SensorDefinition]]:
    """Return the schedules and the sensor on the configured data folder."""
    chosen = settings.automation

    def scheduled(name: str, job: str, cron: str, description: str) -> dg.ScheduleDefinition:
        @dg.schedule(
            name=name,
            job_name=job,
            cron_schedule=cron,
            execution_timezone=chosen.timezone,
            tags={STARTED_BY: name},
            description=description,
        )
        def start(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
            return _busy(context.instance) or dg.RunRequest()

        return start

    @dg.sensor(
        job=EVERYTHING,
        minimum_interval_seconds=chosen.sensor_seconds,
        description="Starts a run when the data folder holds something new and has not changed since the previous evaluation.",
    )
    def new_data(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        folder = settings.data_folder()
        if not folder.is_dir():
            return dg.SkipReason(f"the data folder {folder} does not exist")
        before = json.loads(context.cursor) if context.cursor else {}
        now = listing_digest(folder)
        if now == before.get("started"):
            return dg.SkipReason(f"nothing new in {folder}")
        if now != before.get("seen"):
            cursor = json.dumps({**before, "seen": now})
            return dg.SensorResult(skip_reason=f"{folder} is changing; the sensor waits until it stops", cursor=cursor)
        if busy := _busy(context.instance):
            return busy
        request = dg.RunRequest(tags={STARTED_BY: "new_data", "reelcast/data": now[:12]})
        return dg.SensorResult(run_requests=[request], cursor=json.dumps({"seen": now, "started": now}))

    schedules = [
        scheduled(
            *("nightly", EVERYTHING.name, chosen.nightly),
            "New and changed videos, a new memory bank and new forecasts, every night. Starts nothing while a run is going on.",
        ),
        scheduled(
            *("nightly_upkeep", upkeep.name, chosen.upkeep),
            "Merges small files of the store and removes old versions, every night after the rebuild.",
        ),
    ]
    return schedules, [new_data]


def _busy(instance: dg.DagsterInstance) -> dg.SkipReason | None:
    """Return the reason to start no run now: another run is in progress."""
    runs = going_on(instance)
    if not runs:
        return None
    first = runs[0]
    return dg.SkipReason(f"run {first.run_id[:8]} ({first.job_name}) is in progress ({first.status.value.lower()})")


def listing_digest(folder: Path) -> str:
    """Return a hash of the names, sizes and modification times of all files below a folder."""
    digest = hashlib.sha256()
    for path, size, changed in sorted(_files(folder)):
        # `fsencode`, because a name may not be valid UTF-8
        digest.update(os.fsencode(path) + f"\0{size}\0{changed}\n".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(Path(entry.path))
            elif entry.is_file():
                facts = entry.stat()
                yield entry.path, facts.st_size, facts.st_mtime_ns
