"""Models stay in service while few items change, and a new item computes only its own rows."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.engine.refit_policy import Change, changed_since, keep_facts
from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import fitted_process
from assets.prediction.trained_models import TrainedModel, artifact_of
from assets.protocol.splits import read_splits
from tests.assets.conftest import START, write_plain_set

SEED = {"model__seeds": "[0]"}
M3TR = TrainedModel("m3tr", 0)
HOUR = 3_600_000


@given(st.integers(0, 50), st.integers(1, 50), st.floats(0, 1))
def test_what_is_kept(items, total, limit):
    change = Change(items, total, left=0)
    assert change.keeps(limit) == (items == 0 or items / total < limit)
    assert not change._replace(left=1).keeps(limit)
    assert not Change(1, total, left=0).keeps(0.0)


def test_new_gone_and_changed_items_count(tmp_path):
    keep_facts(tmp_path, {"types": ["like"], "process": ["a", "b"]}, {"a": "1", "b": "2", "v": "3"})
    assert changed_since(tmp_path, {"a": "1", "b": "2", "v": "3"}, {"a", "b"}) == (0, 3, 0)
    assert changed_since(tmp_path, {"a": "1", "b": "other", "new": "4"}, {"a", "b", "new"}) == (3, 3, 0)
    assert changed_since(tmp_path, {"a": "1", "b": "2", "v": "3"}, {"a"}).left == 1


@pytest.fixture
def own_set(tmp_path):
    return write_plain_set(tmp_path / "data")


def add(folder, name: str, hours: list[float]) -> None:
    with (folder / "videos.csv").open("a") as file:
        file.write(f"{name},big dance {name},{START}\n")
    with (folder / "events.csv").open("a") as file:
        file.writelines(f"{name},u1,comment,{START + int(hour * HOUR)}\n" for hour in hours)


@pytest.mark.slow
def test_a_new_item_costs_its_own_rows_only(own_set, settings_of, materialise):
    settings = settings_of(data__folder=str(own_set), **SEED)
    assert materialise(settings).success
    store = open_store(settings)
    sides, process = read_splits(store), fitted_process(store)[0].version
    add(own_set, "new", [0.5, 1.0, 30.0])
    ran = materialise(settings)
    assert ran.success
    for name in ("videos", "text_embeddings", "retrieval_vectors", "temporal_embeddings"):
        (done,) = ran.asset_materializations_for_node(name)
        plan = done.metadata["plan"].data
        assert (plan["new"], plan["stale"], plan["orphaned"]) == (1, 0, 0), name
    assert fitted_process(store)[0].version == process
    assert artifact_of(store, M3TR).current().version == 1
    after = read_splits(store)
    assert after.join(sides, on="item").filter(pl.col("split") != pl.col("split_right")).is_empty()
    assert "new" in after["item"]


@pytest.mark.slow
def test_new_feedback_in_the_window_refreshes_the_temporal_row_only(own_set, settings_of, materialise):
    settings = settings_of(data__folder=str(own_set), **SEED)
    assert materialise(settings).success
    with (own_set / "events.csv").open("a") as file:
        videos = pl.read_csv(own_set / "videos.csv", schema_overrides={"item": pl.String})
        published = dict(videos.select("item", "published_at").iter_rows())
        file.write(f"7,u9,comment,{published['7'] + HOUR}\n")
    ran = materialise(settings)
    assert ran.success
    plans = {}
    for done in ran.get_asset_materialization_events():
        metadata = done.materialization.metadata
        if "plan" in metadata:
            plans[done.asset_key.to_user_string()] = metadata["plan"].data
    assert {name for name, plan in plans.items() if plan["stale"]} == {"temporal_embeddings"}
    assert plans["temporal_embeddings"]["stale"] == 1


@pytest.mark.slow
def test_a_limit_of_zero_fits_at_any_change(own_set, settings_of, materialise):
    settings = settings_of(data__folder=str(own_set), process__refit_share="0", model__refit_share="0", **SEED)
    assert materialise(settings).success
    assert materialise(settings).success
    store = open_store(settings)
    assert fitted_process(store)[0].version == artifact_of(store, M3TR).current().version == 1
    add(own_set, "new", [0.5, 1.0, 30.0])
    assert materialise(settings).success
    assert fitted_process(store)[0].version == artifact_of(store, M3TR).current().version == 2
