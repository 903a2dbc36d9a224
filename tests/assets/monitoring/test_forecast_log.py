"""Every forecast is logged once, with what made it, and scored once its label is known."""

import contextlib
import shutil
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from assets.monitoring.forecast_scores import BY_GROUP, read_scores
from assets.monitoring.logged_forecasts import NAME, append_new, log_rows, read_log
from assets.monitoring.scoring import states
from assets.prediction.provenance import Provenance
from models.curves import LEVELS
from models.curves.scores import crps
from storage import catalog
from storage.log import Log
from storage.store import Store
from tests.assets.monitoring.conftest import DAY


def metadata(result, asset: str) -> dict[str, object]:
    (made,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in made.metadata.items()}


def test_three_nights_the_bank_is_switched_and_a_label_comes_in(nights):
    nights.predict({"a": 3.0, "b": 2.0}, end=2 * DAY)
    first = nights.run()
    assert metadata(first, "forecast_log")["new_forecasts"] == 2
    assert metadata(first, "forecast_scores")["forecasts"] == {"waiting": 2}

    nights.predict({"a": 4.0, "b": 2.5, "c": 1.0}, end=3 * DAY, bank=2)
    assert metadata(nights.run(), "forecast_log")["new_forecasts"] == 3

    nights.label({"a": 7.0})
    nights.predict({"b": 2.5, "c": 1.0}, end=8 * DAY, bank=2)
    third = nights.run()
    log, scores = read_log(nights.store), read_scores(nights.store)
    assert log["bank_version"].to_list() == [1, 1, 2, 2, 2, 2, 2]
    assert log["age_hours"].to_list() == [48.0, 24.0, 72.0, 48.0, 24.0, 168.0, 144.0]
    assert scores.select("item", "bank_version", "target", "error", "absolute_error_count").rows() == [
        ("a", 1, 3.0, 0.0, 0.0),
        ("a", 2, 3.0, 1.0, 8.0),
    ]
    assert scores["lead_hours"].to_list() == pytest.approx([120.0, 96.0])
    by_bank = nights.store.table(BY_GROUP).read().filter(pl.col("by") == "bank")
    assert by_bank.select("group", "forecasts", "mae").rows() == [("version 1", 1, 0.0), ("version 2", 1, 1.0)]
    told = metadata(third, "forecast_scores")
    assert told["newly_scored"] == 2 and told["mae"] == 0.5 and told["whole_window_mae"] == 0.5
    assert told["over_time"].startswith("![](data:image/png;base64,")
    with catalog.connect(nights.store) as connection:
        assert connection.sql(f"SELECT count(*) FROM {NAME}").fetchone() == (7,)


def test_a_forecast_made_again_is_not_logged_again_and_a_changed_one_is(nights):
    nights.predict({"a": 3.0, "b": 2.0}, end=2 * DAY)
    nights.run()
    nights.predict({"a": 3.0, "b": 2.0}, end=2 * DAY)  # another version of the table, the same forecasts
    nights.run()
    assert len(read_log(nights.store)) == 2
    nights.predict({"a": 3.0, "b": 2.1}, end=2 * DAY)
    nights.run()
    assert read_log(nights.store)["predicted"].to_list() == [3.0, 2.0, 2.1]


def test_forecasts_of_a_run_without_the_log_are_logged_by_the_next_with_their_own_time(nights):
    nights.predict({"a": 3.0}, end=2 * DAY)
    nights.predict({"a": 3.5}, end=2 * DAY, bank=2)
    written = nights.store.table("predictions").state().written_at
    nights.run()
    log = read_log(nights.store)
    assert log.select("predicted", "bank_version").rows() == [(3.0, 1), (3.5, 2)]
    assert log["made_at"][0] < log["made_at"][1] == written


def test_a_changed_protocol_keeps_the_log_and_scores_only_its_own_forecasts(nights, settings_of):
    nights.predict({"a": 3.0, "b": 2.0}, end=2 * DAY)
    nights.label({"a": 7.0})
    nights.run()
    other = settings_of(protocol__hours="12")
    nights.predict({"b": 1.0}, end=2 * DAY, hours=12.0)
    nights.label({"b": 1.0})
    told = metadata(nights.run(other), "forecast_scores")
    assert told["forecasts"] == {"other protocol": 2, "scored": 1}
    assert len(read_log(nights.store)) == 3
    assert read_scores(nights.store)["item"].to_list() == ["a", "b"]  # a score stays
    assert nights.store.table(BY_GROUP).read().filter(pl.col("by") == "all")["forecasts"].to_list() == [1]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "scored"),
        ({"data_end": 7 * DAY - 1}, "scored"),
        ({"data_end": 7 * DAY}, "after the label"),
        ({"in_training": True}, "in training"),
        ({"protocol": "another"}, "other protocol"),
        ({"item": "b"}, "waiting"),
        ({"item": "c"}, "label without a time"),
    ],
)
def test_only_a_forecast_from_before_its_label_is_scored(change, state):
    row = {"item": "a", "target_name": "comment@7d", "data_end": DAY, "in_training": False, "protocol": "p"} | change
    labels = {"item": ["a", "c"], "target_name": ["comment@7d"] * 2, "label_time": [7 * DAY, None], "count": [7.0, 7.0]}
    assert states(pl.DataFrame([row]), pl.DataFrame(labels), {"comment@7d": "p"})["state"].to_list() == [state]


def test_a_forecast_of_an_item_in_training_is_logged_and_not_scored(nights):
    nights.predict({"a": 3.0}, end=2 * DAY)
    nights.run()
    table = nights.store.table("predictions")
    frame = table.read().rename({"counted_so_far": "counted"}).with_columns(in_training=True)
    state = table.state()
    rows = log_rows(frame, Provenance(**state.metadata), source="predict", made_at=state.written_at)
    assert (append_new(nights.store, rows), append_new(nights.store, rows)) == (1, 0)
    nights.label({"a": 7.0})
    assert metadata(nights.run(), "forecast_scores")["forecasts"] == {"scored": 1, "in training": 1}


def test_curves_are_logged_per_horizon_ahead_and_scored_by_coverage_and_crps(nights):
    """At two days, the horizons 1 h and 2 d have passed; of those ahead, 3 d is known a night later."""
    nights.predict({"a": 3.0}, end=2 * DAY)
    nights.forecast_curve("a", {1.0: 1.0, 48.0: 1.0, 72.0: 3.0, 168.0: 5.0}, end=2 * DAY)
    nights.run()
    log = read_log(nights.store).filter(pl.col("source") == "forecast_curves")
    assert log.select("target_name", "predicted_count", "age_hours", "counted").rows() == [
        ("comment@3d", 3.0, 48.0, 1.0),
        ("comment@7d", 5.0, 48.0, 1.0),
    ]
    nights.events(hours=[1, 60, 70, 80], end=4 * DAY)
    told = metadata(nights.run(), "forecast_scores")
    assert told["forecasts"] == {"waiting": 2, "scored": 1}
    (score,) = read_scores(nights.store).to_dicts()
    assert (score["target_name"], score["count"], score["label_time"]) == ("comment@3d", 3.0, 3 * DAY)
    assert score["coverage_80"] == 1.0
    expected = crps(np.log2(1.0 + np.array(score["quantiles"])), LEVELS, np.array(np.log2(4.5)))
    assert score["crps"] == pytest.approx(float(expected))
    assert told.keys() >= {"scored", "newly_scored"} and "mae" not in told


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_killed_at_the_append_loses_nothing_and_doubles_nothing(nights, monkeypatch, moment):
    nights.predict({"a": 3.0, "b": 2.0}, end=2 * DAY)
    append = Log.append

    def killed(log, frame):
        if moment == "after":
            append(log, frame)
        raise SystemExit("killed")

    with monkeypatch.context() as patch, contextlib.suppress(SystemExit):
        patch.setattr(Log, "append", killed)
        nights.run()
    assert len(read_log(nights.store)) == (0 if moment == "before" else 2)
    nights.run()
    assert read_log(nights.store)["item"].to_list() == ["a", "b"]


KILLED = """
import sys
from assets.monitoring.logged_forecasts import append_new, read_log
from storage.store import Store

source, target = map(Store, sys.argv[1:])
for number in range(1_000_000):
    append_new(target, read_log(source).with_columns(forecast=f"{number}-" + polars.col("item")))
    print(number, flush=True)
"""


@pytest.mark.slow
def test_a_process_killed_again_and_again_leaves_whole_appends(nights, tmp_path):
    nights.predict({"a": 3.0, "b": 2.0}, end=2 * DAY)
    nights.run()
    target = Store(tmp_path / "target")
    code = f"import polars{KILLED}"
    for wait in (0.05, 0.13, 0.21):
        shutil.rmtree(target.root / "logs", ignore_errors=True)
        writer = subprocess.Popen(
            [sys.executable, "-c", code, str(nights.store.root), str(target.root)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout.readline() == "0\n"
        time.sleep(wait)
        writer.kill()
        said = [0, *map(int, writer.stdout.read().split())]
        writer.wait()
        kept = read_log(target)["forecast"].to_list()
        whole = [f"{number}-{item}" for number in range(said[-1] + 2) for item in "ab"]
        assert kept in (whole[:-2], whole)  # the append in hand may have come through unsaid, and then whole
