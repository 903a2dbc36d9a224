"""Mistakes of users: `reelcast check --run`, with which `make demo` begins, tells each in at most five lines, the mend last."""

from pathlib import Path

import pytest

from pipeline.command_line import main
from storage.durable import exclusive
from storage.store import Store
from tests.assets.conftest import write_plain_set

START = 1_780_000_000


def no_such_folder(folder: Path) -> dict[str, str]:
    return {"DATA__FOLDER": str(folder / "absent")}


def videos_only(folder: Path) -> dict[str, str]:
    (folder / "data").mkdir()
    (folder / "data" / "clip.mp4").write_bytes(b"")
    return {}


def three_videos(folder: Path) -> dict[str, str]:
    write_plain_set(folder / "data", items=3)
    return {}


def wrong_column(folder: Path) -> dict[str, str]:
    events = write_plain_set(folder / "data") / "events.csv"
    events.write_text(events.read_text().replace("time", "zeit", 1))
    return {}


def seconds_for_milliseconds(folder: Path) -> dict[str, str]:
    (folder / "data").mkdir()
    rows = "".join(f"u,{item},{START + item}\n" for item in range(30))
    (folder / "data" / "own_pairs.csv").write_text("user,item,timestamp\n" + rows)
    return {}


def a_file_in_place_of_the_store(folder: Path) -> dict[str, str]:
    write_plain_set(folder / "data")
    (folder / "file").write_text("")
    return {"STORE__PATH": str(folder / "file")}


def results_that_cannot_be_written(folder: Path) -> dict[str, str]:
    write_plain_set(folder / "data")
    (folder / "file").write_text("")
    return {"STORE__RESULTS": str(folder / "file" / "results")}


def missing_checkpoints(folder: Path) -> dict[str, str]:
    write_plain_set(folder / "data")
    return {"ENCODERS__PROFILE": "paper"}


def a_setting_that_does_not_exist(folder: Path) -> dict[str, str]:
    (folder / "reelcast.toml").write_text("[model]\nalpah = 2\n")
    return {}


def a_full_disk(folder: Path) -> dict[str, str]:
    write_plain_set(folder / "data")
    return {"STORE__MIN_FREE_MB": "1000000000"}


def no_gpu(folder: Path) -> dict[str, str]:
    write_plain_set(folder / "data")
    return {"ENCODERS__DEVICE": "cuda"}


MENDS = {
    no_such_folder: "name the one that holds the data set (data.folder)",
    videos_only: "`reelcast init FOLDER` makes a data set",
    three_videos: "at least 10 are needed",
    wrong_column: "events.csv, line 1: no column time among item, user, type, zeit",
    seconds_for_milliseconds: "own_pairs.csv, line 2: time is 1780000000: every value is below",
    a_file_in_place_of_the_store: "remove it, or name another folder (store.",
    results_that_cannot_be_written: "remove it, or name another folder (store.results)",
    missing_checkpoints: "fetch it with: hf download laion/clap-htsat-unfused",
    a_setting_that_does_not_exist: "did you mean 'alpha'?",
    a_full_disk: "name a folder on a larger disk (store.results)",
    no_gpu: "set it to 'auto' or 'cpu'",
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    place = tmp_path / "mes vidéos [1] ビデオ"
    place.mkdir()
    (place / "reelcast.toml").write_text("")
    monkeypatch.chdir(place)
    for variable in ("REELCAST_CONFIG", "DAGSTER_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "no checkpoints"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return place


@pytest.mark.parametrize("mistake", MENDS, ids=lambda mistake: mistake.__name__)
def test_a_mistake_is_told_in_five_lines_with_its_mend_last(folder, monkeypatch, capsys, mistake):
    for name, value in ({"DATA__FOLDER": str(folder / "data")} | mistake(folder)).items():
        monkeypatch.setenv(f"REELCAST_{name}", value)
    assert main(["check", "--run"]) in (1, 2)
    shown = capsys.readouterr()
    lines = (shown.out + shown.err).splitlines()
    assert len(lines) <= 5
    assert MENDS[mistake] in lines[-1]


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("mistake", "mend"),
    [
        (a_file_in_place_of_the_store, "a file is in the way of this folder. Remove it, or choose another folder"),
        (results_that_cannot_be_written, "a file is in the way of this folder. Remove it, or choose another folder"),
        (a_setting_that_does_not_exist, "did you mean 'alpha'?"),
        (a_full_disk, "Free some space, or choose a store on a larger disk (store.path)"),
    ],
)
def test_a_command_that_cannot_begin_says_so_without_a_stage(folder, monkeypatch, capsys, mistake, mend, command):
    for name, value in ({"DATA__FOLDER": str(folder / "data")} | mistake(folder)).items():
        monkeypatch.setenv(f"REELCAST_{name}", value)
    assert main([command]) == 2
    shown = capsys.readouterr()
    lines = (shown.out + shown.err).splitlines()
    assert len(lines) <= 2 and mend in lines[-1]


def test_a_sound_set_under_an_awkward_name_is_not_refused(folder, monkeypatch, capsys):
    write_plain_set(folder / "data")
    monkeypatch.setenv("REELCAST_DATA__FOLDER", str(folder / "data"))
    assert main(["check", "--run"]) == 0
    assert capsys.readouterr().out == "run: nothing is wrong\n"
    assert not (folder / "store").exists(), "nothing was written"


def test_the_lock_of_a_killed_process_hinders_nobody(folder, monkeypatch):
    store = Store(folder / "store")
    lock = store.root / "publishing.lock"
    lock.write_text("999999")
    with exclusive(lock, doing="publishing the catalog"):
        pass
