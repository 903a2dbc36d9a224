"""Studies run the graph in derived stores: the data set's own store keeps its models, and a second call trains nothing."""

import dagster as dg
import polars as pl
import pytest
from rich.console import Console

from assets.engine.store_access import open_store
from assets.reports.leaderboard import leaderboard, protocol_arm
from assets.reports.leak_audit import audit_arms, report_audit
from assets.reports.scenarios import SCENARIOS, report_scenarios
from assets.reports.study import arm_stores
from pipeline.settings import changed
from pipeline.studies import RunFailed, materialise, run_arms, run_scenarios
from storage.bank import MemoryBank

pytestmark = pytest.mark.slow
QUIET = Console(quiet=True)
TREES = {"model": {"train": ["boosting"], "seeds": [0]}}


@pytest.fixture
def settings(settings_of):
    return settings_of(model__train='["boosting"]', model__seeds="[0]")


def versions_of(settings) -> dict[str, list[int]]:
    stores = arm_stores(settings, "leaderboard", table="evaluation_items")
    artifacts = {name: store.artifact("popularity_model_boosting_0") for name, store in stores.items()}
    return {name: [version.version for version in artifact.versions()] for name, artifact in artifacts.items()}


def test_each_protocol_has_a_store_and_the_leaderboard_holds_both(settings):
    arms = [protocol_arm(name, TREES) for name in ("random", "chronological")]
    run_arms(settings, arms, QUIET)
    own = open_store(settings)
    assert own.artifact("popularity_model_boosting_0").current() is None, "the own store trains nothing for a study"
    first = versions_of(settings)
    assert first == {"random": [1], "chronological": [1]}
    run_arms(settings, arms, QUIET)
    assert versions_of(settings) == first, "an interrupted study continues, and a complete one does nothing"
    materialise(settings, dg.AssetSelection.assets(leaderboard))
    table = own.table("leaderboard").read()
    assert set(table["arm"]) == {"random", "chronological"}
    boosting = table.filter(pl.col("predictor") == "boosting", pl.col("age_hours").is_null())
    assert boosting["training_seconds"].null_count() == 0 and (boosting["parameters"] > 1).all()
    page = (settings.results_folder() / "leaderboard.html").read_text()
    assert page.count("<svg") == 2 and "chronological" in page and "http" not in page.replace("http://www.w3.org", "")


def test_a_run_that_fails_is_told_with_its_step(settings):
    arm = protocol_arm("random", {**TREES, "sampling": {"frames": 3}})
    broken = changed(settings, {"data": {"folder": str(settings.store_folder() / "nothing")}})
    with pytest.raises(RunFailed, match=r"^a run in .* failed\n(.*\n)?videos: "):
        run_arms(broken, [arm], QUIET)


def test_a_leak_of_the_bank_is_planted_and_found_nowhere_else(settings):
    arms = [
        arm
        for arm in audit_arms(settings, models=["boosting"], seeds=[0])
        if arm.name in ("random", "validation_in_bank")
    ]
    run_arms(settings, arms, QUIET)
    stores = arm_stores(settings, "leak_audit", table="evaluation_items")
    members = {name: set(MemoryBank(store.artifact("memory_bank").current()).items) for name, store in stores.items()}
    sides = dict(stores["random"].table("splits").read().select("item", "split").iter_rows())
    assert {sides[item] for item in members["random"]} == {"train"}
    assert {sides[item] for item in members["validation_in_bank"]} == {"train", "val"}
    report_audit(settings)
    table = open_store(settings).table("leak_audit").read()
    assert set(table["fault"]) == {"validation_in_bank", "metrics_over_batches"}


def test_scenarios_move_forecasts_and_train_nothing(settings):
    run_scenarios(settings, QUIET)
    own = open_store(settings)
    report_scenarios(settings, own)
    table = own.table("scenarios").read()
    assert set(table["scenario"]) == set(SCENARIOS)
    by_row = table.filter(pl.col("scenario") == "fake_likes")
    assert by_row.filter(pl.col("predictor") == "training mean")["size"].to_list() == [0.0]
    assert by_row.filter(pl.col("predictor") == "boosting")["size"][0] > 0
    around = table.filter(pl.col("predictor") == "mean of neighbours", pl.col("scenario") == "sleeper_hit")
    assert around["size"][0] > 0, "other times retrieve other videos"
    for store in arm_stores(settings, "scenarios", table="evaluation_items").values():
        theirs, ours = (one.artifact("popularity_model_boosting_0").current() for one in (store, own))
        assert theirs.created_at == ours.created_at
