"""`reelcast` in a shell."""

import json
import subprocess

import polars as pl
import pytest

from assets.prediction.results import evaluation_markdown, write_results
from pipeline.command_line import main
from storage.store import Store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REELCAST_STORE__PATH", str(tmp_path / "store"))
    monkeypatch.setenv("REELCAST_STORE__RESULTS", str(tmp_path / "results"))
    return tmp_path


def evaluated() -> tuple[pl.DataFrame, pl.DataFrame]:
    metrics = {
        "target_name": "comment@7d",
        "age_hours": None,
        "PLCC": 0.5,
        "MAE": 1.0,
        "nMSE_count": 0.9,
        "PLCC_count": 0.4,
        "MAE_count": 120.0,
    }
    rows = [{"predictor": "training mean", "seed": None, "items": 4, "nMSE": 1.0, "SRC": float("nan"), **metrics}]
    rows += [
        {"predictor": "M3TR", "seed": seed, "items": 4, "nMSE": 0.5 + seed / 10, "SRC": 0.7, **metrics}
        for seed in (0, 1)
    ]
    columns = ("target_name", "predictor", "seed", "age_hours")
    items = [
        {**{name: row[name] for name in columns}, "item": str(n), "target": float(n), "predicted": n * 0.9}
        for row in rows
        for n in range(4)
    ]
    types = {"seed": pl.Int64, "age_hours": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=types), pl.DataFrame(items, schema_overrides=types)


def test_results_shows_the_table_and_where_it_lies(folder, capsys):
    table, items = evaluated()
    text = evaluation_markdown(table, items, ["a note"], window="24 h", served={"comment@7d": "M3TR"})
    assert "| **M3TR (2 seeds)** | **0.550 ± 0.635** |" in text
    assert "| training mean | 1.000 | n/a |" in text
    assert "- a note" in text
    write_results(folder / "results", table=table, items=items, text=text, hours=24.0)
    assert {file.name for file in (folder / "results").iterdir()} == {
        "evaluation.md",
        "evaluation.csv",
        "test_predictions.csv",
        "evaluation.png",
        "evaluation_by_age.png",
    }
    assert main(["results"]) == 0
    shown = capsys.readouterr().out
    assert "M3TR" in shown
    assert str(folder / "results") in shown.replace("\n", "")


def test_results_before_a_run_says_what_to_do(folder, capsys):
    assert main(["results"]) == 1
    assert "make demo" in capsys.readouterr().err


def test_settings_shows_values_and_refuses_wrong_ones(folder, capsys, monkeypatch):
    assert main(["settings"]) == 0
    assert str(folder / "store") in capsys.readouterr().out.replace("\n", "")
    monkeypatch.setenv("REELCAST_MODEL__ALPHA", "2")
    assert main(["settings"]) == 2
    assert "REELCAST_MODEL__ALPHA" in capsys.readouterr().err


def test_environments_are_made_where_the_settings_say(monkeypatch, tmp_path):
    made = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REELCAST_ENCODERS__ENVIRONMENTS", str(tmp_path / "there"))
    monkeypatch.setattr("pipeline.command_line.make", lambda library, *, root: made.append((library, root)))
    assert main(["environment", "lavis"]) == 0
    assert made == [("lavis", str(tmp_path / "there"))]


def test_an_environment_that_cannot_be_installed(monkeypatch, capsys):
    def fails(*_, **__):
        raise subprocess.CalledProcessError(1, ["pip", "install", "-r", "lavis.txt"])

    monkeypatch.setattr("pipeline.command_line.make", fails)
    assert main(["environment", "lavis"]) == 1
    assert "pip install -r lavis.txt failed" in capsys.readouterr().err


def test_check_names_what_is_damaged_and_the_way_out(folder, capsys):
    assert main(["check"]) == 0
    assert "there is no store yet" in capsys.readouterr().out
    store = Store(folder / "store")
    store.append("runs", pl.DataFrame({"computed": [1]}))
    store.table("splits").write(pl.DataFrame({"item": ["a"]}), inputs_hash="i", fingerprint="f")
    assert main(["check", "--deep"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    (log,) = store.log("runs").files()
    log.write_bytes(b"")
    (store.root / "dataset.json").write_text("{}")
    store.table("splits").current.write_bytes(b"PAR1")
    assert main(["check", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["problems"] == 4  # a table's version is one file with what is in service
    ways = {finding["subject"]: finding["way_out"] for finding in shown["checks"]["store"]}
    assert ways[str(store.table("splits").current)] == "the next run makes it again"
    assert ways[str(log)] == f"rm {log}; its rows are lost, all other rows stay"
    assert ways[str(store.root / "dataset.json")].startswith(
        f"rm {store.root / 'dataset.json'}, if the store was computed"
    )
    assert main(["check"]) == 1
    assert f"{log}: " in capsys.readouterr().out
