"""`reelcast` in a shell."""

import json
import os
import subprocess
from importlib.metadata import version

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
    lines = shown.splitlines()
    assert max(map(len, lines[:3])) <= 80
    assert [line.split()[0] for line in lines[:3]] == ["row", "M3TR", "training"], "sorted by nMSE"
    assert lines[1].split()[:5] == ["M3TR", "(2)", "0.550", "±", "0.635"]
    assert "\n • Only 4 test items" in shown, "warnings stand before other notes"
    assert str(folder / "results") in shown.replace("\n", "")
    assert "report: " not in shown
    page = folder / "results" / "report.html"
    page.touch()
    assert main(["results"]) == 0
    assert f"report:  {page}" in capsys.readouterr().out.splitlines()
    assert main(["results", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["report"] == str(page)
    assert [(row["predictor"], row["nMSE"], row["SRC"]) for row in values["rows"]] == [
        ("M3TR", 0.55, pytest.approx(0.7)),
        ("training mean", 1.0, None),
    ]


def test_results_before_a_run_says_what_to_do(folder, capsys):
    assert main(["results"]) == 1
    assert "make demo" in capsys.readouterr().err


def test_settings_shows_values_and_refuses_wrong_ones(folder, capsys, monkeypatch):
    assert main(["settings"]) == 0
    assert str(folder / "store") in capsys.readouterr().out.replace("\n", "")
    monkeypatch.setenv("REELCAST_MODEL__ALPHA", "2")
    assert main(["settings"]) == 2
    assert "REELCAST_MODEL__ALPHA" in capsys.readouterr().err


def test_settings_say_where_a_value_comes_from(monkeypatch, tmp_path, capsys):
    for variable in [name for name in os.environ if name.startswith("REELCAST_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reelcast.toml").write_text("[protocol]\nhours = 12\n")
    monkeypatch.setenv("REELCAST_MODEL__SEEDS", "[7]")
    assert main(["settings", "--changed", "--json"]) == 0
    shown = {(one["section"], one["field"]): one for one in json.loads(capsys.readouterr().out)}
    assert {key: (one["value"], one["source"]) for key, one in shown.items()} == {
        ("protocol", "hours"): (12, "reelcast.toml: protocol.hours"),
        ("model", "seeds"): ([7], "REELCAST_MODEL__SEEDS"),
    }
    assert main(["settings", "--changed"]) == 0
    assert "hours = 12.0   (reelcast.toml: protocol.hours; default 24.0)" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["results"], ["plan"], ["sql"], ["check"], ["bank", "list"], ["shell"], ["clean"]])
def test_outside_a_project_no_store_is_made(monkeypatch, tmp_path, capsys, command):
    monkeypatch.chdir(tmp_path)
    for variable in ("REELCAST_CONFIG", "REELCAST_STORE__PATH"):
        monkeypatch.delenv(variable, raising=False)
    assert main(command) == 2
    assert f"no reelcast.toml was found in {tmp_path}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["reslts"], "No such command 'reslts'"),
        (["bank", "show"], "Missing argument 'version'"),
        (["plan", "--stag", "frames"], "No such option: --stag"),
        (["environment", "numpy"], "allowed: lavis, laion-clap"),
        (["leaderboard", "--protocols", "honest"], "allowed: random, chronological"),
    ],
)
def test_wrong_use_is_two_lines_and_exit_code_2(folder, capsys, arguments, told):
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert told in lines[0]
    assert len(lines) <= 2


def test_the_version_and_every_command_with_an_example(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"reelcast {version('reelcast')}\n"
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "Exit codes: 0 success" in text
    commands = [line.split()[0] for line in text[text.index("Commands:") :].splitlines()[1:] if line[:3].strip()]
    assert {"results", "plan", "bank", "leak-audit"} <= set(commands)
    for command in set(commands) - {"Exit", "settings,"}:
        main([command, "--help"])
        assert "Example: " in capsys.readouterr().out or command in ("bank", "models")


def test_ctrl_c_says_that_work_is_kept(folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.check.check_store", interrupted)
    Store(folder / "store")
    assert main(["check"]) == 130
    assert capsys.readouterr().err.endswith("stopped; finished work is kept\n")


def test_environments_are_made_where_the_settings_say(monkeypatch, tmp_path):
    made = []
    monkeypatch.setenv("REELCAST_ENCODERS__ENVIRONMENTS", str(tmp_path / "there"))
    monkeypatch.setattr(
        "models.encoders.isolated.environments.make", lambda library, *, root: made.append((library, root))
    )
    assert main(["environment", "lavis"]) == 0
    assert made == [("lavis", str(tmp_path / "there"))]


def test_an_environment_that_cannot_be_installed(monkeypatch, capsys):
    def fails(*_, **__):
        raise subprocess.CalledProcessError(1, ["pip", "install", "-r", "lavis.txt"])

    monkeypatch.setattr("models.encoders.isolated.environments.make", fails)
    assert main(["environment", "lavis"]) == 1
    assert "pip install -r lavis.txt failed" in capsys.readouterr().err


def test_check_names_what_is_damaged_and_the_way_out(folder, plain_set, monkeypatch, capsys):
    monkeypatch.setenv("REELCAST_DATA__FOLDER", str(plain_set))
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
    assert shown["problems"] == 5  # a table's version is one file with what is in service
    assert "if the store was computed from" in shown["checks"]["run"][0]["problem"], "only dataset.json stops a run"
    ways = {finding["subject"]: finding["way_out"] for finding in shown["checks"]["store"]}
    assert ways[str(store.table("splits").current)] == "the next run makes it again"
    assert ways[str(log)] == f"rm {log}; its rows are lost, all other rows stay"
    assert ways[str(store.root / "dataset.json")].startswith(
        f"rm {store.root / 'dataset.json'}, if the store was computed"
    )
    assert main(["check"]) == 1
    assert f"{log}: " in capsys.readouterr().out
