"""Two machines whose instances are one database: the pools and the queue of one are those of the other."""

import importlib.util
import os

import dagster as dg
import pytest

from assets.settings import Settings
from deploy.local_cluster import POSTGRES, LocalCluster
from pipeline.instance import make_instance
from pipeline.run_origin import name_origin_of_runs
from pipeline.settings import changed

needed = [name for name in ("dagster_postgres", "psycopg2") if importlib.util.find_spec(name) is None]


@pytest.mark.slow
@pytest.mark.skipif(bool(needed) or not POSTGRES.is_dir(), reason=f"PostgreSQL, or packages are missing: {needed}")
def test_machines_with_one_database_share_pools_and_queue(tmp_path, monkeypatch):
    @dg.job
    def work() -> None: ...

    with LocalCluster(s3=False, ray=False) as cluster:
        for name, value in cluster.variables.items():
            monkeypatch.setenv(name, value)
        homes = []
        for machine in ("one", "other"):
            (tmp_path / machine / "data").mkdir(parents=True)
            folders = {"data": {"folder": str(tmp_path / machine / "data")}, "store": {"path": str(tmp_path / machine)}}
            homes.append(make_instance(changed(Settings(), {**folders, "dagster": {"storage": "postgres"}})))
        with (
            dg.DagsterInstance.from_config(str(homes[0])) as one,
            dg.DagsterInstance.from_config(str(homes[1])) as other,
        ):
            one.event_log_storage.set_concurrency_slots("gpu", 2)
            assert [pool.limit for pool in other.event_log_storage.get_pool_limits() if pool.name == "gpu"] == [2]
            name_origin_of_runs(one)
            queued = one.create_run_for_job(work, status=dg.DagsterRunStatus.QUEUED)
            waiting = other.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
            assert [record.dagster_run.run_id for record in waiting] == [queued.run_id]
        password = os.environ["DAGSTER_POSTGRES_URL"].split(":")[2].split("@")[0].encode()
        assert [file for file in tmp_path.rglob("*") if file.is_file() and password in file.read_bytes()] == []
