"""Every asset, check, job, schedule and sensor tells a person what it is, and the graph of groups has a direction."""

from graphlib import TopologicalSorter
from pathlib import Path

import dagster as dg

from pipeline.asset_policy import with_policy
from pipeline.definitions import ASSETS, defs
from pipeline.settings import load

GRAPH = defs.resolve_asset_graph()
NODES = [GRAPH.get(key) for key in GRAPH.get_all_asset_keys()]


def test_every_asset_has_what_its_page_shows():
    for node in NODES:
        name = node.key.to_user_string()
        assert node.description, name
        assert node.owners == ["team:reelcast"], name
        assert node.kinds, name
        assert node.freshness_policy is not None, name
        assert {"reelcast/loads_a_model", "reelcast/served"} <= set(node.tags), name
        (code,) = node.metadata["dagster/code_references"].code_references
        assert Path(code.file_path).stem == name
        assert f"def {name}(" in "".join(Path(code.file_path).read_text().splitlines(True)[code.line_number - 1 :])


def test_the_owner_is_a_setting():
    settings = load(environment={"REELCAST_AUTOMATION__OWNER": "ada@example.org"})
    (asset,) = with_policy(ASSETS[:1], settings)
    assert asset.owners_by_key[asset.key] == ["ada@example.org"]


def test_the_graph_of_groups_reads_from_left_to_right():
    before: dict[str, set[str]] = {}
    for node in NODES:
        groups = {GRAPH.get(parent).group_name for parent in node.parent_keys}
        before.setdefault(node.group_name, set()).update(groups - {node.group_name})
    assert list(TopologicalSorter(before).static_order())  # raises for an arrow back


def test_checks_jobs_schedules_and_sensors_are_described():
    repository = defs.get_repository_def()
    parts = [*repository.get_all_jobs(), *repository.schedule_defs, *repository.sensor_defs]
    named = {part.name: part.description for part in parts if not part.name.startswith("__")}
    assert {"everything", "upkeep", "nightly", "nightly_upkeep", "new_data"} <= set(named)
    checks = [spec for asset in defs.asset_checks or () for spec in asset.check_specs]
    named |= {spec.name: spec.description for spec in checks if isinstance(spec, dg.AssetCheckSpec)}
    assert not [name for name, description in named.items() if not description]
