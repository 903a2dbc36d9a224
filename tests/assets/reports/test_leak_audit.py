"""What a leak flatters: signs, pairing, batches; and a fault that no run outside the audit can plant."""

import numpy as np
import polars as pl
import pytest

from assets.engine.store_access import PlantedFault, open_store
from assets.metadata.later_author_statistics import later_author_statistics
from assets.reports.faults import Fault, faults
from assets.reports.leak_audit import audit_arms, batch_flattery, flattery, ranking
from assets.settings import Settings
from tests.assets.reports.test_scores import items_of

LEAK = Fault("leak", "Something leaks.", "random")


def figures(table: pl.DataFrame, predictor: str) -> dict[str, dict]:
    own = table.filter(pl.col("predictor") == predictor)
    return {row["metric"]: row for row in own.iter_rows(named=True)}


def test_a_smaller_error_flatters_and_a_larger_correlation_does():
    honest = items_of({"M3TR": [0.6, 0.7], "boosting": [0.5]})
    leaky = honest.with_columns(predicted=(pl.col("predicted") + 2 * pl.col("target")) / 3)
    found = figures(flattery(LEAK, honest, leaky), "M3TR")
    assert all(row["flatters"] > 0 and row["low"] > 0 and row["same_items"] for row in found.values())
    nmse = found["nMSE"]
    assert nmse["flatters"] == pytest.approx(nmse["honest"] - nmse["leaky"])
    assert nmse["leaky"] == pytest.approx(nmse["honest"] / 9)


def test_no_leak_flatters_nothing():
    honest = items_of({"M3TR": [0.6, 0.7]})
    assert all(
        row["flatters"] == row["low"] == row["high"] == 0
        for row in figures(flattery(LEAK, honest, honest), "M3TR").values()
    )


def test_other_test_items_are_resampled_apart():
    honest = items_of({"M3TR": [0.6]})
    other = items_of({"M3TR": [0.6]}, items=150)
    row = figures(flattery(LEAK, honest, other), "M3TR")["nMSE"]
    assert not row["same_items"] and row["low"] < 0 < row["high"]


def test_an_average_over_batches_is_another_figure():
    items = items_of({"M3TR": [0.6]})
    row = figures(batch_flattery(items), "M3TR")["nMSE"]
    runs = items.sort("item")
    error = (runs["target"] - runs["predicted"]).to_numpy() ** 2
    parts = [slice(0, 64), slice(64, 128), slice(128, 192), slice(192, 200)]
    expected = np.mean([error[part].mean() / runs["target"].to_numpy()[part].var() for part in parts])
    assert row["leaky"] == pytest.approx(expected) and row["leaky"] != pytest.approx(row["honest"])


def test_the_order_of_the_rows_follows_from_either_column():
    honest = items_of({"M3TR": [0.3], "boosting": [0.6]})
    leaky = items_of({"M3TR": [0.6], "boosting": [0.3]})
    table = flattery(LEAK, honest, leaky)
    assert ranking(table, "honest") == ["M3TR", "boosting"]
    assert ranking(table, "leaky") == ["boosting", "M3TR"]


def test_a_fault_is_refused_outside_the_audit(settings_of):
    with pytest.raises(PlantedFault, match=r"validation_in_bank.*leak-audit"):
        open_store(settings_of(audit__fault="validation_in_bank"))


def test_every_arm_of_the_audit_may_plant_its_fault(settings_of):
    from pipeline.settings import changed

    settings = settings_of()
    arms = audit_arms(settings, models=["boosting"], seeds=[0])
    assert [arm.name for arm in arms][:2] == ["random", "chronological"]
    planted = {changed(settings, arm.all_changes(settings.store_folder())).audit.fault for arm in arms}
    assert planted == set(type(settings.audit).model_fields["fault"].annotation.__args__)
    for arm in arms:
        open_store(changed(settings, arm.all_changes(settings.store_folder())))


def test_without_a_horizon_there_is_no_chronological_fault():
    settings = Settings(protocol={"first_k": 5, "horizon_hours": None})
    assert {fault.base for fault in faults(settings)} == {"random"}


def test_later_statistics_count_every_other_video_of_the_author():
    videos = pl.DataFrame({"item": ["a", "b", "c", "d"], "author": ["x", "x", "x", None], "t0": [1, 2, 3, 4]})
    labels = pl.DataFrame(
        {"item": ["a", "b", "c"], "target": ["t"] * 3, "label_time": [5, 6, 7], "value": [1.0, 2.0, 6.0]}
    )
    found = later_author_statistics(videos, labels, ["t"])
    assert found["history_mean t"].to_list() == [4.0, 3.5, 1.5, None]
    assert found["history_items"].to_list() == [2.0, 2.0, 2.0, None]
