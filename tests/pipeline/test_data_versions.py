"""What Dagster shows as outdated: nothing after a run that changed nothing, and only what a change can reach."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from assets.engine.store_access import open_store
from assets.settings import Settings
from pipeline.definitions import ASSET_CHECKS, ASSETS
from pipeline.instance import make_instance
from pipeline.settings import load
from tests.assets.conftest import QUICK, write_plain_set

STALE = "{ assetNodes { assetKey { path } staleStatus staleCauses { reason } } }"


def run(settings: Settings, instance: dg.DagsterInstance, selection: object = "*") -> None:
    graph = [*ASSETS, *ASSET_CHECKS]
    assert dg.materialize(graph, resources={"settings": settings}, instance=instance, selection=selection).success


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> Iterator[tuple[Settings, dg.DagsterInstance]]:
    """Settings and instance after one whole run, on a data set that a test may change."""
    folder = tmp_path_factory.mktemp("versions")
    variables = {
        "REELCAST_DATA__FOLDER": str(write_plain_set(folder / "data")),
        "REELCAST_STORE__PATH": str(folder / "store"),
    }
    settings = load(environment={**QUICK, **variables})
    with dg.DagsterInstance.ephemeral() as instance:
        run(settings, instance)
        yield settings, instance


def versions(instance: dg.DagsterInstance) -> dict[str, tuple[str, str]]:
    """The code version and data version of every asset's last materialisation."""
    found = {}
    for key in instance.all_asset_keys():
        tags = instance.get_latest_materialization_event(key).asset_materialization.tags
        found[key.to_user_string()] = (tags["dagster/code_version"], tags["dagster/data_version"])
    return found


def outdated_inputs(instance: dg.DagsterInstance) -> set[str]:
    """Assets that were last made from another version of an input than the one there is now."""
    now = {name: data for name, (_, data) in versions(instance).items()}
    found = set()
    for key in instance.all_asset_keys():
        tags = instance.get_latest_materialization_event(key).asset_materialization.tags
        used = {name.rpartition("/")[2]: tag for name, tag in tags.items() if "input_data_version" in name}
        found |= {key.to_user_string() for name, tag in used.items() if now[name] != tag}
    return found


def test_every_asset_has_a_code_version_and_it_is_the_one_its_rows_carry(ran):
    graph = {key.to_user_string(): spec.code_version for asset in ASSETS for key, spec in asset.specs_by_key.items()}
    assert None not in graph.values()
    store = open_store(ran[0])
    assert len(store.stages()) == 12
    for name in store.stages():
        files = (store.root / "stages" / name / "fingerprints").glob("*.json")
        assert {str(json.loads(file.read_text())["code"]) for file in files} == {graph[name]}, name


def test_a_run_that_changes_nothing_changes_no_version_and_a_title_only_what_follows_it(ran):
    settings, instance = ran
    before = versions(instance)
    assert len(before) == len({key for asset in ASSETS for key in asset.keys})
    assert outdated_inputs(instance) == set()
    run(settings, instance, ["videos", "frames", "popularity", "hawkes_process"])
    assert versions(instance) == before
    assert outdated_inputs(instance) == set()

    file = settings.data_folder() / "videos.csv"
    file.write_text(file.read_text().replace("small talk 2,", "another title,"))
    run(settings, instance, ["videos", "frames", "splits"])
    after = versions(instance)
    assert {name for name in after if after[name] != before[name]} == {"videos"}
    assert "text_embeddings" in outdated_inputs(instance)
    assert not {"frames", "visual_captions", "hawkes_process"} & outdated_inputs(instance)


@pytest.mark.slow
def test_dagsters_own_api_shows_nothing_outdated_after_a_second_run(tmp_path):
    variables = {
        **QUICK,
        "REELCAST_DATA__FOLDER": str(write_plain_set(tmp_path / "data")),
        "REELCAST_STORE__PATH": str(tmp_path / "store"),
    }
    settings = load(environment=variables)
    home = str(make_instance(settings))
    with dg.DagsterInstance.from_config(home) as instance:
        run(settings, instance)
        run(settings, instance)
    command = [str(Path(sys.executable).with_name("dagster-graphql")), "-m", "pipeline.definitions", "-t", STALE]
    environment = {**os.environ, **variables, "DAGSTER_HOME": home}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    nodes = json.JSONDecoder().raw_decode(told[told.index("{") :])[0]["data"]["assetNodes"]  # log lines follow it
    assert {node["staleStatus"] for node in nodes} == {"FRESH"}, nodes
    assert len(nodes) == len({key for asset in ASSETS for key in asset.keys})
