"""The only use of Dagster's internals: Dagster has no public way to name the job that a shell's run belongs to."""

import re
from pathlib import Path

import dagster as dg

from pipeline.definitions import defs
from pipeline.run_origin import JOB, LOCATION, REPOSITORY, name_origin_of_runs

ROOT = Path(__file__).parents[2]
PRIVATE = re.compile(r"^\s*(from|import) dagster(\.\w+)*\._|^\s*(from|import) dagster_shared", flags=re.MULTILINE)


def test_a_run_of_a_shell_belongs_to_the_job_that_the_overview_shows(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        name_origin_of_runs(instance)
        run = instance.create_run_for_job(defs.resolve_job_def(JOB))
    origin = run.remote_job_origin
    assert origin.job_name == JOB
    assert origin.repository_origin.repository_name == REPOSITORY
    assert origin.repository_origin.code_location_origin.location_name == LOCATION


def test_nothing_else_imports_what_dagster_keeps_to_itself():
    folders = ("assets", "models", "pipeline", "storage", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    found = {file.name for file in files if PRIVATE.search(file.read_text(encoding="utf-8"))}
    assert found == {"run_origin.py"}
