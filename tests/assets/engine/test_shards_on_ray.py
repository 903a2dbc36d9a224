"""Shards as tasks of a cluster: one commit each whoever dies, in the plan's order, with the rows of a run in one process."""

import json
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pyarrow as pa
import pytest

from assets.engine.run_stage import run_stage
from assets.engine.shard_task import ShardJob, UnfitWorker, compute_shard
from assets.engine.shard_work import AssetName, open_work
from assets.engine.skip_unchanged import code_mark
from assets.engine.store_access import open_store
from assets.memory.shard_map import shard_map
from assets.settings import Settings
from pipeline.settings import changed
from storage.fingerprint import Fingerprint
from storage.rows import Row

INPUTS = {str(number): f"hash {number}" for number in range(10)}
BAD = "7"
computed: list[str] = []


@dg.asset
def lengths(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    store = open_store(settings)

    def compute(todo: Sequence[str]) -> Iterator[Row]:
        for item in todo:
            computed.append(item)
            if item == BAD:
                yield Row.failed(item, INPUTS[item], ValueError("broken"))
            else:
                yield Row.ok(item, INPUTS[item], {"length": int(item)})

    return run_stage(
        context,
        store,
        settings,
        store.stage("lengths", pa.schema({"length": pa.int32()})),
        inputs=INPUTS,
        fingerprint=Fingerprint(code=1),
        compute=compute,
    )


@pytest.fixture
def settings(tmp_path) -> Settings:
    computed.clear()
    (tmp_path / "data").mkdir()
    return changed(
        Settings(),
        {
            "data": {"folder": str(tmp_path / "data")},
            "store": {"path": str(tmp_path / "store")},
            "run": {"shard_size": 4},
        },
    )


def job_of(settings: Settings, tmp_path, **changes) -> ShardJob:
    values = json.dumps(settings.model_dump(mode="json"))
    given = {"run_id": str(tmp_path), "settings": values, "folder": str(tmp_path), "code": code_mark(), **changes}
    return ShardJob(asset=AssetName(__name__, "lengths"), **given)


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_a_shard_that_is_started_again_after_its_commit_is_not_committed_again(settings, tmp_path):
    stage = open_work(AssetName(__name__, "lengths"), settings).stage
    (part,) = stage.reserve(1)
    job, shard = job_of(settings, tmp_path), {item: INPUTS[item] for item in ("6", BAD)}
    first, again = compute_shard(job, shard, part), compute_shard(job, shard, part)
    assert first.rows == again.rows == {"ok": 1, "failed": 1}
    assert computed == ["6", BAD]
    assert len(list(stage.folder.glob(f"parts/*/*/{part.name}"))) == 1


def test_of_two_workers_that_commit_one_shard_the_first_counts(settings):
    stage = open_work(AssetName(__name__, "lengths"), settings).stage
    (part,) = stage.reserve(1)
    for length in (1, 2):  # the first worker was thought dead, and the second finishes after it
        stage.commit([Row.ok("3", "hash", {"length": length})], fingerprint="f", part=part)
    assert stage.read()["length"].to_pylist() == [1]
    assert sum(len(pl.read_parquet(file)) for file in stage.folder.glob("parts/*/*/*.parquet")) == 1


def test_rows_have_the_order_of_the_plan_whichever_shard_ends_first(settings, tmp_path):
    stage = open_work(AssetName(__name__, "lengths"), settings).stage
    parts, job = stage.reserve(2), job_of(settings, tmp_path)
    compute_shard(job, {item: INPUTS[item] for item in ("5", "2")}, parts[1])
    compute_shard(job, {item: INPUTS[item] for item in ("9", "1")}, parts[0])
    assert stage.read()["item"].to_pylist() == ["9", "1", "5", "2"]


@pytest.mark.parametrize(
    ("changes", "inputs", "told"),
    [
        ({"code": "other"}, {"1": "hash 1"}, "has other code than the run"),
        ({"folder": "/no/such/folder"}, {"1": "hash 1"}, "has no folder /no/such/folder"),
        ({}, {"1": "another hash"}, "sees other inputs of 1 videos than the run, first 1"),
    ],
)
def test_a_worker_that_does_not_fit_the_run_refuses(settings, tmp_path, changes, inputs, told):
    stage = open_work(AssetName(__name__, "lengths"), settings).stage
    with pytest.raises(UnfitWorker, match=told):
        compute_shard(job_of(settings, tmp_path, **changes), inputs, stage.reserve(1)[0])
    assert not computed


class Cluster(SimpleNamespace):
    """Stands in for the module `ray`: tasks run in this process, the last one first, and each is started twice."""

    def __init__(self, options: list[dict]):
        class Function:
            def __init__(self, function):
                self.function = function

            def options(self, **given):
                options.append(given)
                return self

            def remote(self, *arguments):
                return lambda: self.function(*arguments)

        errors = SimpleNamespace(RayError=RuntimeError, RayTaskError=KeyError)
        super().__init__(remote=Function, put=lambda value: value, exceptions=errors, is_initialized=lambda: True)

    def wait(self, waiting, timeout):
        return waiting[-1:], waiting[:-1]

    def get(self, tasks):
        return [(task(), task())[1] for task in tasks]


def test_a_run_on_a_cluster_stores_the_rows_of_a_run_in_one_process(settings, tmp_path, monkeypatch):
    def run(**sections) -> pl.DataFrame:
        resources = {"settings": changed(settings, sections)}
        assert dg.materialize([lengths], resources=resources, instance=dg.DagsterInstance.ephemeral()).success
        stage = open_work(AssetName(__name__, "lengths"), resources["settings"]).stage
        return stage.states().drop("computed_at")

    options: list[dict] = []
    monkeypatch.setitem(sys.modules, "ray", Cluster(options))
    one = run(store={"path": str(tmp_path / "one")})
    assert not options
    on_cluster = run(run={"executor": "ray", "shard_size": 3}, ray={"gpus": {"lengths": 0.5}, "max_retries": 7})
    assert on_cluster.equals(one)
    assert (options[0]["num_gpus"], options[0]["num_cpus"], options[0]["max_retries"]) == (0.5, 1.0, 7)


def test_the_map_of_the_cluster_returns_results_in_the_order_of_the_tasks(settings, monkeypatch):
    options: list[dict] = []
    monkeypatch.setitem(sys.modules, "ray", Cluster(options))
    assert shard_map(settings) is map
    on_ray = changed(settings, {"run": {"executor": "ray"}, "ray": {"cpus": 2.0}})
    assert shard_map(on_ray)(str.upper, ["b", "a"]) == ["B", "A"]
    assert options == [{"num_cpus": 2.0, "max_retries": 3}]


def test_without_ray_a_run_ends_with_the_command_that_installs_it(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    on_ray = changed(settings, {"run": {"executor": "ray"}})
    instance = dg.DagsterInstance.ephemeral()
    done = dg.materialize([lengths], resources={"settings": on_ray}, instance=instance, raise_on_error=False)
    (failed,) = [event for event in done.all_events if event.is_step_failure]
    assert 'pip install "reelcast[ray]"' in str(failed.step_failure_data)
