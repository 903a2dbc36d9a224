"""The settings of a cluster: what is written for Dagster, what is refused, and what no file and no message holds."""

import json
import sys

import dagster as dg
import pytest

from assets.settings import HOST_TAG, Kubernetes, Settings
from pipeline import extras, instance
from pipeline.errors import RunFailed, WrongUse
from pipeline.executors import executor_of, pods_of
from pipeline.instance import check_database, make_instance
from pipeline.runs import going_on
from pipeline.settings import changed

PASSWORD = "correct-horse"
URL = f"postgresql+psycopg2://reelcast:{PASSWORD}@127.0.0.1:1/reelcast"


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setattr(instance, "require", lambda package, **about: None)
    monkeypatch.setenv("MY_URL", URL)
    (tmp_path / "data").mkdir()
    given = {"data": {"folder": str(tmp_path / "data")}, "store": {"path": str(tmp_path / "store")}}
    return changed(Settings(), {**given, "dagster": {"storage": "postgres", "url_variable": "MY_URL"}})


def test_the_instance_names_the_variable_and_never_the_password(settings):
    home = make_instance(settings)
    assert "env: MY_URL" in (home / "dagster.yaml").read_text()
    assert not [file for file in home.rglob("*") if file.is_file() and PASSWORD in file.read_text()]
    make_instance(changed(settings, {"dagster": {"storage": "sqlite"}}))
    assert "postgres" not in (home / "dagster.yaml").read_text()


def test_a_database_without_its_variable_is_refused(settings, monkeypatch):
    monkeypatch.delenv("MY_URL")
    with pytest.raises(WrongUse, match=r"the variable MY_URL \(dagster.url_variable\) is not set"):
        make_instance(settings)


def test_another_driver_is_refused_without_the_password(settings, monkeypatch):
    monkeypatch.setenv("MY_URL", f"postgresql://reelcast:{PASSWORD}@127.0.0.1/reelcast")
    with pytest.raises(
        WrongUse, match=r"begins with postgresql://, but Dagster needs postgresql\+psycopg2://"
    ) as refused:
        make_instance(settings)
    assert PASSWORD not in str(refused.value)


def test_a_database_that_does_not_answer_is_named_without_the_password(settings):
    if not extras.find_spec("psycopg2"):
        pytest.skip("no driver of PostgreSQL is installed")
    with pytest.raises(RunFailed, match=r"the database of MY_URL at 127\.0\.0\.1 does not answer") as refused:
        check_database(settings)
    assert PASSWORD not in str(refused.value)


def test_runs_can_be_jobs_of_the_ray_cluster(settings):
    home = make_instance(changed(settings, {"ray": {"jobs": "http://head:8265"}}))
    assert "RayRunLauncher" in (home / "dagster.yaml").read_text()


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("k8s", "dagster_k8s")])
def test_an_executor_without_its_package_says_how_to_install_it(executor, package, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(WrongUse, match=rf'needs the package {package}: pip install "reelcast\[{executor}\]"'):
        executor_of(changed(Settings(), {"run": {"executor": executor}}))


def test_pods_have_the_memory_and_the_gpus_of_their_step():
    given = Kubernetes(
        image="reelcast:1",
        secrets=["bucket"],
        gpus={"visual_embeddings": 1},
        memory_of={"memory_bank": "32Gi"},
        node_selector={"pool": "gpu"},
    )
    pods = pods_of(given)
    assert pods["step_k8s_config"]["container_config"]["resources"]["limits"] == {"memory": "4Gi"}
    steps = pods["per_step_k8s_config"]
    assert steps["visual_embeddings"]["container_config"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert steps["visual_embeddings"]["pod_spec_config"] == {"node_selector": {"pool": "gpu"}}
    assert steps["memory_bank"]["container_config"]["resources"]["requests"]["memory"] == "32Gi"
    assert "pod_spec_config" not in steps["memory_bank"]
    if extras.find_spec("dagster_k8s"):
        from dagster_k8s import k8s_job_executor

        dg.validate_run_config(  # Dagster's own schema of the executor
            dg.GraphDefinition("empty", node_defs=[]).to_job(executor_def=k8s_job_executor),
            run_config={"execution": {"config": json.loads(json.dumps(pods))}},
        )


def test_a_run_on_another_machine_is_not_taken_for_lost():
    @dg.job
    def work() -> None: ...

    with dg.DagsterInstance.ephemeral() as store:
        for host in ("another-machine", None):
            tags = {HOST_TAG: host} if host else {}
            store.create_run_for_job(work, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert [run.tags.get(HOST_TAG) for run in going_on(store, silence=0.0)] == ["another-machine"]


def test_the_settings_of_a_cluster_need_no_package_by_default():
    assert executor_of(Settings()) is dg.in_process_executor
    assert "ray" not in sys.modules
