"""`reelcast doctor`: what it finds, and the mend that it names."""

import json

import pytest

from pipeline import doctor
from pipeline.command_line import main
from storage.store import Store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "reelcast.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for variable in ("REELCAST_CONFIG", "REELCAST_STORE__PATH"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def diagnosed(capsys) -> tuple[int, dict[str, dict[str, str]]]:
    code = main(["doctor", "--json"])
    return code, {one["subject"]: one for one in json.loads(capsys.readouterr().out)}


def test_a_sound_installation(folder, capsys):
    code, found = diagnosed(capsys)
    assert {one["state"] for one in found.values()} <= {"ok", "note"}, found
    assert code == 0
    assert {"Python", "packages", "settings", "GPU", "encoders", "disk", "Dagster", "store"} == found.keys()
    assert not (folder / "store").exists(), "it writes nothing"


def test_each_problem_has_a_mend(folder, capsys, monkeypatch):
    Store(folder / "store" / "demo").table("splits").folder.mkdir(parents=True)
    (folder / "store" / "demo" / "store.json").write_text("{")
    (folder / "reelcast.toml").write_text(
        '[encoders]\nprofile = "paper"\ndevice = "cuda"\n[store]\nmin_free_mb = 999999999\n'
    )
    (folder / "store" / "other" / "dagster").mkdir(parents=True)
    (folder / "store" / "other" / "dagster" / "reelcast-instance").write_text("")
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "store" / "other" / "dagster"))
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (4, 0))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(doctor, "requires", lambda _: ["dagster<1", "no-such-package", "mcp; extra == 'mcp'"])
    code, found = diagnosed(capsys)
    assert code == 1
    problems = {name for name, one in found.items() if one["state"] == "problem"}
    assert problems == {"Python", "packages", "GPU", "encoders", "disk", "Dagster", "store"}
    assert "make setup PYTHON=" in found["Python"]["mend"]
    assert "pip install 'no-such-package'" in found["packages"]["mend"]
    assert 'encoders.device = "auto"' in found["GPU"]["mend"]
    assert "no GPU is visible; set it to 'auto' or 'cpu'" in found["encoders"]["detail"]
    assert "(store.results)" in found["disk"]["mend"]
    assert "reelcast shell" in found["Dagster"]["mend"]
    assert "`reelcast check`" in found["store"]["mend"]


def test_outside_a_project_it_says_so(folder, capsys):
    (folder / "reelcast.toml").unlink()
    code, found = diagnosed(capsys)
    assert code == 1 and "reelcast init FOLDER" in found["settings"]["mend"]
