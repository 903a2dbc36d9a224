"""`reelcast plan` against what the run that follows computes."""

import pytest
from rich.console import Console

from assets.engine.store_access import open_store
from assets.settings import Settings
from pipeline.command_line import main
from pipeline.definitions import defs
from pipeline.planning import StagePlan, plan_run, show, show_items
from tests.assets.conftest import write_plain_set

SEED = {"model__seeds": "[0]"}


def plans(settings: Settings) -> dict[str, StagePlan]:
    return {stage.name: stage for stage in plan_run(settings, defs)}


def printed(*stages: StagePlan) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show(console, stages)
    return console.export_text()


@pytest.fixture
def own_set(tmp_path):
    return write_plain_set(tmp_path / "data")


def test_before_the_first_run_everything_is_new(settings_of):
    settings = settings_of()
    found = plans(settings)
    assert set(list(found)[:3]) == {"videos", "interactions", "counters"}
    assert len(found["videos"].plan.new) == 60
    assert found["frames"].more == 60
    assert found["memory_bank"].follows
    assert "60 x new item" in printed(*found.values())
    store = open_store(settings)
    assert not (store.root / "dataset.json").exists()
    assert all(stage.states().is_empty() for stage in store.stages().values())


@pytest.mark.slow
def test_the_plan_is_what_the_run_computes(settings_of, materialise, own_set):
    settings = settings_of(data__folder=str(own_set), **SEED)
    assert materialise(settings).success
    nothing = plans(settings)
    assert not any(stage.changes for stage in nothing.values())
    assert "Nothing to compute" in printed(*nothing.values())

    text = (own_set / "videos.csv").read_text()
    (own_set / "videos.csv").write_text(text.replace("small talk 2,", "another title,"))
    found = plans(settings)
    assert found["videos"].plan.reasons == {"2": "input changed"}
    assert (found["text_embeddings"].plan.todo, found["text_embeddings"].more) == (["2"], 0)
    assert (found["retrieval_vectors"].plan.todo, found["retrieval_vectors"].more) == (["2"], 0)
    for name in ("frames", "audio", "visual_embeddings", "acoustic_embeddings", "splits", "hawkes_process"):
        assert not found[name].changes, name
    assert found["predictions"].changes
    before = {name: stage.states() for name, stage in open_store(settings).stages().items()}
    assert materialise(settings).success
    for name, stage in open_store(settings).stages().items():
        after = stage.states().join(before[name], on="item", suffix="_before")
        recomputed = set(after.filter(after["computed_at"] != after["computed_at_before"])["item"])
        plan = found[name].plan
        assert set(plan.todo) <= recomputed, name
        assert len(recomputed) <= len(plan.todo) + found[name].more, name


@pytest.mark.slow
def test_a_changed_parameter_is_named(settings_of, materialise, own_set):
    settings = settings_of(data__folder=str(own_set), **SEED)
    assert materialise(settings).success
    found = plans(settings_of(data__folder=str(own_set), process__hidden="6", sampling__frames="7", **SEED))
    assert found["frames"].plan.summary()["reasons"] == {"parameter frames: 10 -> 7": 60}
    assert found["videos"].plan.todo == []
    assert found["hawkes_process"].reason == "its parameters changed"
    assert found["temporal_embeddings"].more == 60
    assert found["text_embeddings"].changes is False
    shown = printed(*found.values())
    assert "parameter frames: 10 -> 7" in shown
    assert "follows memory_bank" in shown


def test_of_a_stage_that_is_computed_whole_nothing_depends_on_what_lies_before(settings_of, materialise):
    assert materialise(settings_of(), ["videos", "frames", "audio"]).success
    found = plans(settings_of(sampling__frames="7", sampling__segment_seconds="2"))["audio"]
    assert found.follows == ("frames",) and found.more == 0
    (row,) = [line for line in printed(found).splitlines() if "audio" in line]
    assert row.split() == ["audio", "60", "60", "x", "parameter", "seconds:", "1.0", "->", "2.0"]
    assert "if the output changes" not in printed(found)


def test_a_planned_item_is_listed_with_its_reason(settings_of):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    show_items(console, plans(settings_of())["videos"])
    assert "7: new item" in console.export_text().splitlines()


def test_a_data_set_that_cannot_be_read_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("REELCAST_DATA__FOLDER", str(tmp_path / "absent"))
    monkeypatch.setenv("REELCAST_STORE__PATH", str(tmp_path / "store"))
    assert main(["plan"]) == 2
    assert "absent" in capsys.readouterr().err


def test_an_unknown_stage_is_told(monkeypatch, capsys, plain_set, tmp_path):
    monkeypatch.setenv("REELCAST_DATA__FOLDER", str(plain_set))
    monkeypatch.setenv("REELCAST_STORE__PATH", str(tmp_path / "store"))
    assert main(["plan", "--stage", "frame"]) == 2
    assert "allowed are" in capsys.readouterr().err
