"""Each data set has a store, results and a Dagster instance of its own, also under awkward names."""

import os
import subprocess
from pathlib import Path

import dagster as dg
import pytest

from assets.settings import Settings
from assets.settings.dagster_home import OtherInstance
from pipeline.cleaning import delete_computed
from pipeline.command_line import main
from pipeline.instance import make_instance, shell_variables
from pipeline.settings import load
from storage.durable import BusyError, StoreError
from storage.process_lock import present
from storage.store import Store

AWKWARD = ["my vidéos", "it's & $HOME; #1 100%", "ビデオ [1]", "what?"]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reelcast.toml").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in [variable for variable in os.environ if variable.startswith("REELCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


def settings_for(folder: Path | str, **environment: str) -> Settings:
    return load(environment={"REELCAST_DATA__FOLDER": str(folder), **environment})


def test_the_folders_follow_from_the_data_set(place):
    demo, own = load(environment={}), settings_for("some/where/my vidéos")
    assert demo.store_folder() == place / "store" / "demo"
    assert demo.results_folder() == place / "results" / "demo"
    assert own.store_folder() == place / "store" / "my vidéos"
    assert own.results_folder() == place / "results" / "my vidéos"


def test_a_store_that_is_named_has_its_results_inside(place):
    settings = settings_for("data", REELCAST_STORE__PATH="/big/disk/store")
    assert settings.results_folder() == Path("/big/disk/store/results")
    assert settings_for("data", REELCAST_STORE__RESULTS="told").results_folder() == place / "told"


def test_two_data_sets_with_the_same_folder_name_share_nothing(place):
    for parent in ("one", "two"):
        (place / parent / "videos").mkdir(parents=True)
    one, two = settings_for("one/videos"), settings_for("two/videos")
    make_instance(one)
    assert one.store_folder().name == "videos"
    assert two.store_folder().name.startswith("videos-")
    assert one.results_folder() != two.results_folder()
    make_instance(two)
    assert delete_computed(one, ask=None)
    assert two.store_folder().name.startswith("videos-"), "a data set keeps its store when the other one's is deleted"


def test_a_data_set_that_moved_with_its_project_keeps_its_store(place):
    (place / "before").mkdir()
    make_instance(settings_for("before"))
    (place / "store" / "before").rename(place / "store" / "after")
    (place / "before").rename(place / "after")
    assert settings_for("after").store_folder() == place / "store" / "after"


@pytest.mark.parametrize("name", AWKWARD)
def test_a_shell_reaches_the_instance_under_any_name(place, name):
    (place / name).mkdir()
    settings = settings_for(name)
    commands = shell_variables(settings, {})
    told = subprocess.run(
        ["sh", "-c", 'eval "$1"; printf "%s" "$DAGSTER_HOME"', "sh", commands],
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(told.stdout).resolve() == settings.store_folder() / "dagster"
    with dg.DagsterInstance.from_config(told.stdout) as instance:
        assert not instance.telemetry_enabled, "the instance's own dagster.yaml is read"
        assert dg.materialize([dg.AssetSpec("a"), _one], instance=instance).success
        assert len(instance.get_runs()) == 1
    assert (Path(told.stdout) / "history" / "runs.db").exists()


@dg.asset
def _one() -> int:
    return 1


def test_an_instance_of_the_users_own_is_kept(place):
    (place / "mine").mkdir()
    assert f"DAGSTER_HOME={place / 'mine'}\n" in shell_variables(
        load(environment={}), {"DAGSTER_HOME": str(place / "mine")}
    )
    other = make_instance(settings_for("other"))
    assert "demo/dagster" in shell_variables(load(environment={}), {"DAGSTER_HOME": str(other)})


def test_a_run_in_another_data_sets_instance_is_refused_before_any_asset(place):
    ran = []

    @dg.asset
    def look(settings: dg.ResourceParam[Settings]) -> None:
        ran.append(settings.data.folder)

    home = make_instance(settings_for("one"))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for folder, expected in (("one", True), ("two", False)):
            resources = {"settings": settings_for(folder)}
            result = dg.materialize([look], resources=resources, instance=instance, raise_on_error=False)
            assert result.success is expected
    assert ran == ["one"]


def test_definitions_of_another_data_set_are_refused(place, monkeypatch):
    import runpy

    monkeypatch.setenv("DAGSTER_HOME", str(make_instance(settings_for("one"))))
    with pytest.raises(OtherInstance, match=r"reelcast shell"):
        runpy.run_module("pipeline.definitions")


def test_clean_deletes_one_data_set_only(place, capsys):
    one, two = settings_for("one"), settings_for("two")
    for settings in (one, two):
        make_instance(settings)
        (settings.store_folder() / "tables").mkdir()
        settings.results_folder().mkdir(parents=True)
        (settings.results_folder() / "evaluation.md").write_text("")
    assert not delete_computed(one, ask=lambda question: "n")
    assert one.results_folder().is_dir()
    asked = []
    assert delete_computed(one, ask=lambda question: asked.append(question) or "y")
    assert str(one.store_folder()) in asked[0] and str(one.results_folder()) in asked[0] and "two" not in asked[0]
    assert not (one.store_folder() / "tables").exists() and not one.results_folder().exists()
    assert (two.store_folder() / "tables").exists() and (two.results_folder() / "evaluation.md").exists()
    assert (one.store_folder() / "dagster" / "dagster.yaml").exists(), "the shell's DAGSTER_HOME still exists"


def test_clean_spares_other_folders(place):
    mine = place / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("")
    with pytest.raises(StoreError, match="is not a store"):
        delete_computed(settings_for("data", REELCAST_STORE__PATH=str(mine)), ask=None)
    settings = settings_for("data", REELCAST_STORE__RESULTS=str(mine))
    Store(settings.store_folder())
    assert delete_computed(settings, ask=None)
    assert (mine / "thesis.txt").exists()


def test_clean_waits_for_a_run(place):
    settings = settings_for("data")
    home = make_instance(settings)
    with present(home / "running" / "abc"), pytest.raises(BusyError, match="a run is using"):
        delete_computed(settings, ask=None)


def test_clean_without_a_terminal_deletes_nothing(place, monkeypatch, capsys):
    Store(load(environment={}).store_folder())
    monkeypatch.setattr("builtins.input", lambda _: (_ for _ in ()).throw(EOFError))
    assert main(["clean"]) == 1
    assert "nothing deleted" in capsys.readouterr().out
    assert main(["clean", "--yes"]) == 0


def test_sql_runs_on_the_catalog(place, capsys):
    assert main(["sql"]) == 0
    assert "failures" in capsys.readouterr().out
    assert main(["sql", "SELECT 6 * 7 AS answer"]) == 0
    assert "42" in capsys.readouterr().out
    assert main(["sql", "SELECT FROM nowhere"]) == 2
    assert "reelcast:" in capsys.readouterr().err
