"""Schedules and sensors, evaluated as the daemon does it, with an instance on disk."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from assets.settings import Settings, run_mark
from pipeline.automation import automation, jobs, listing_digest
from pipeline.runs import going_on
from pipeline.settings import load
from storage.process_lock import present
from storage.store import Store


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "data" / "videos").mkdir(parents=True)
    (tmp_path / "data" / "events.csv").write_text("item\n")
    variables = {"REELCAST_DATA__FOLDER": str(tmp_path / "data"), "REELCAST_STORE__PATH": str(tmp_path / "store")}
    return load(file=None, environment=variables)


def upkeep_of(settings: Settings) -> dg.JobDefinition:
    (job,) = (job for job in jobs(settings) if job.name == "upkeep")
    return job


def a_run(instance: dg.DagsterInstance, status: DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(upkeep_of(load(environment={})), status=status)


def look(settings: Settings, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult | dg.SkipReason:
    (sensor,) = automation(settings)[1]
    return sensor(dg.build_sensor_context(instance=instance, cursor=cursor))


def test_new_data_start_one_run_once_they_are_still(settings, instance):
    seen = look(settings, instance, None)
    assert not seen.run_requests
    started = look(settings, instance, seen.cursor)
    (request,) = started.run_requests
    assert request.tags["reelcast/started_by"] == "new_data"
    assert "nothing new" in look(settings, instance, started.cursor).skip_message

    folder = Path(settings.data.folder)
    (folder / "videos" / "7.mp4").write_bytes(b"half of a fi")
    copying = look(settings, instance, started.cursor)
    assert not copying.run_requests
    (folder / "videos" / "7.mp4").write_bytes(b"half of a file, and the rest of it")
    still_copying = look(settings, instance, copying.cursor)
    assert not still_copying.run_requests
    assert len(look(settings, instance, still_copying.cursor).run_requests) == 1


def test_new_data_wait_for_the_run_that_goes_on(settings, instance):
    cursor = json.dumps({"seen": listing_digest(Path(settings.data.folder))})
    run = a_run(instance, DagsterRunStatus.STARTED)
    skipped = look(settings, instance, cursor)
    assert f"run {run.run_id[:8]} (upkeep) is in progress" in skipped.skip_message
    instance.report_run_canceled(run)
    assert len(look(settings, instance, cursor).run_requests) == 1


def test_a_folder_that_is_not_there(settings, instance, tmp_path):
    elsewhere = load(file=None, environment={"REELCAST_DATA__FOLDER": str(tmp_path / "absent")})
    assert "absent does not exist" in look(elsewhere, instance, None).skip_message


@pytest.mark.parametrize("name", ["nightly", "nightly_upkeep"])
def test_schedules_never_pile_up(settings, instance, name):
    schedule = {schedule.name: schedule for schedule in automation(settings)[0]}[name]
    context = dg.build_schedule_context(instance=instance)
    assert isinstance(schedule(context), dg.RunRequest)
    a_run(instance, DagsterRunStatus.STARTED)
    assert isinstance(schedule(context), dg.SkipReason)


def test_a_run_whose_process_is_gone_is_noted_as_failed(instance):
    run = a_run(instance, DagsterRunStatus.STARTED)
    with present(run_mark(instance, run.run_id)):
        assert [found.run_id for found in going_on(instance, silence=0.0)] == [run.run_id]
    assert [found.run_id for found in going_on(instance)] == [run.run_id]  # it may be between two steps
    assert going_on(instance, silence=0.0) == []
    assert instance.get_run_by_id(run.run_id).status == DagsterRunStatus.FAILURE


def test_a_run_holds_its_mark_while_it_works(settings, instance):
    seen = []

    @dg.asset
    def looks(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> None:
        seen.append([run.run_id for run in going_on(context.instance, silence=0.0)] == [context.run.run_id])

    assert dg.materialize([looks], resources={"settings": settings}, instance=instance).success
    assert seen == [True]
    assert list((Path(instance.root_directory) / "running").iterdir()) == []


def test_upkeep_as_a_job(settings, instance):
    store = Store(settings.store_folder())
    for number in range(5):
        with store.artifact("model").new(inputs_hash=str(number), fingerprint="f") as folder:
            (folder / "file").write_text("x")
    old = store.root / "stages" / ".writing-left-by-a-killed-writer"
    old.parent.mkdir()
    old.write_text("half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert upkeep_of(settings).execute_in_process(instance=instance).success
    assert [version.version for version in store.artifact("model").versions()] == [3, 4, 5]
    assert not old.exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("NIGHTLY", "at three", "five cron fields"), ("TIMEZONE", "Mars/Olympus", "time zone database")],
)
def test_a_wrong_time_is_refused(field, value, said):
    with pytest.raises(ValueError, match=said):
        load(file=None, environment={f"REELCAST_AUTOMATION__{field}": value})


def test_a_file_name_that_is_not_utf8_is_listed_like_any_other(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).write_bytes(b"x")
    before = listing_digest(tmp_path)
    (tmp_path / name).write_bytes(b"longer")
    assert listing_digest(tmp_path) != before
