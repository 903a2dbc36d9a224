"""Two versions of the bank, and of the models, forecast the same items; what is in service stays."""

import json

import numpy as np
import polars as pl
import pytest

from assets.engine.store_access import open_store
from assets.memory.memory_bank import NAME as BANK
from assets.monitoring.logged_forecasts import read_log
from assets.monitoring.version_comparison import compare_pairs, pair_forecasts
from pipeline.command_line import main
from storage.bank import MemoryBank
from storage.file_marks import tree_mark
from tests.assets.conftest import QUICK


def forecasts(predicted: np.ndarray, target: np.ndarray) -> pl.DataFrame:
    items = [f"i{number}" for number in range(len(predicted))]
    values = {"predicted": predicted, "predicted_count": 2.0**predicted, "target": target, "count": 2.0**target}
    return pl.DataFrame({"item": items, "target_name": "comment@7d", "model": "stack", **values}).with_columns(
        pl.col("target", "count").fill_nan(None)
    )


def test_errors_are_paired_over_the_items_with_a_label():
    random = np.random.default_rng(0)
    target = random.normal(size=60)
    first, second = target + random.normal(size=60), target + 0.1 * random.normal(size=60)
    target[50:] = np.nan
    pairs = pair_forecasts(forecasts(first, target), forecasts(second, target), without=["i0", "i55"])
    (found,) = compare_pairs(pairs)
    assert (found.items, found.labelled) == (58, 49)
    kept = np.r_[1:50]
    maes = [np.abs(side[kept] - target[kept]).mean() for side in (first, second)]
    assert found.errors["MAE"][:2] == pytest.approx(maes)
    gap = found.errors["MAE"][2]
    assert gap.value == pytest.approx(maes[1] - maes[0]) and gap.low < gap.value < gap.high < 0
    assert found.mean_change == pytest.approx(np.abs(np.delete(second - first, [0, 55])).mean())
    assert len(found.most_moved) == 10


def test_equal_forecasts_differ_by_nothing():
    values = np.arange(5.0)
    (found,) = compare_pairs(pair_forecasts(forecasts(values, values), forecasts(values, values)))
    assert found.mean_change == 0.0 and found.most_moved == []
    assert found.errors["MAE"][:2] == (0.0, 0.0)


@pytest.mark.slow
def test_from_the_shell(settings_of, materialise, plain_set, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("videos.csv", "events.csv"):
        (folder / name).write_text((plain_set / name).read_text())
    with (folder / "videos.csv").open("a") as videos, (folder / "events.csv").open("a") as events:
        uploaded = 1_780_000_000_000 + 59 * 24 * 3_600_000
        videos.write(f"new,big dance,{uploaded}\n")
        events.write(f"new,u1,comment,{uploaded + 3_600_000}\n")
    quick = {"data__folder": str(folder), "model__seeds": "[0]"}
    settings = settings_of(**quick)
    assert materialise(settings).success
    videos = pl.read_csv(folder / "videos.csv", schema_overrides={"item": pl.String})
    renamed = pl.when(pl.col("title").str.starts_with("big")).then(pl.lit("something else")).otherwise("title")
    videos.with_columns(renamed.alias("title")).write_csv(folder / "videos.csv")
    settings = settings_of(**quick, bank__drift="1")
    assert materialise(settings).success
    store = open_store(settings)
    assert store.artifact(BANK).current().version == 2
    log = read_log(store).filter(pl.col("source") == "predictions")
    assert log.select("item", "bank_version", "age_hours", "counted").rows() == [
        ("new", 1, 24.0, 1.0),
        ("new", 2, 24.0, 1.0),
    ]

    monkeypatch.chdir(tmp_path)
    paths = {
        "DATA__FOLDER": settings.data.folder,
        "STORE__PATH": settings.store.path,
        "STORE__RESULTS": settings.store.results,
    }
    named = {f"REELCAST_{name}": path for name, path in paths.items()}
    for name, text in (QUICK | named | {"REELCAST_MODEL__SEEDS": "[0]"}).items():
        monkeypatch.setenv(name, text)
    before = [tree_mark(store.root / kind) for kind in ("tables", "artifacts", "logs")]
    assert main(["bank", "compare", "1", "2", "--forecasts", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [tree_mark(store.root / kind) for kind in ("tables", "artifacts", "logs")] == before
    items = {row["item"] for row in told["forecasts"]}
    assert "new" in items and not items & set(MemoryBank(store.artifact(BANK).find(1)).items.tolist())
    assert any(row["difference"] != 0 for row in told["forecasts"])
    assert told["targets"][0]["labelled"] == len(items) - 1
    assert main(["bank", "compare", "1", "9", "--forecasts"]) == 2
    assert "there is no version 9; kept are 1, 2" in capsys.readouterr().err
    assert main(["models", "compare"]) == 0
    assert "From the models before to the present ones" in capsys.readouterr().out
