"""`reelcast run`: what it prints while it works, and how it ends when something is wrong."""

import json
import logging
import os
import re
import signal
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster import DagsterEventType
from rich.console import Console

from assets.engine.user_errors import UserError, told_to_the_user
from assets.settings import Settings
from pipeline.command_line import main
from pipeline.errors import RunFailed, WrongUse
from pipeline.run_graph import RunSummary, run_graph
from pipeline.run_lines import NAME, StageLines, stage_lines
from pipeline.settings import load
from pipeline.studies import materialise

TROUBLE = {
    "told": UserError("3 labels are known; at least 10 are needed. Shorten protocol.horizon_hours"),
    "unforeseen": KeyError("no such column"),
    "stopped": KeyboardInterrupt(),
}


def graph(trouble: str | None = None, *, share: float = 0.0, blocking: bool = True) -> dg.Definitions:
    """Return three assets in a row, of which the second meets with trouble, and a check of the first."""

    @dg.asset
    def videos(context: dg.AssetExecutionContext) -> None:
        context.log.info("videos: 60 items in 0.0 s, 2616.9/s\na table")
        context.log.warning("videos: a damaged file")

    @dg.asset_check(asset=videos, blocking=blocking)
    def failed_share() -> dg.AssetCheckResult:
        figures = {"share": share, "limit": 0.25}
        return dg.AssetCheckResult(
            passed=share <= 0.25, metadata=figures, description="" if blocking else "half of them"
        )

    @dg.asset(deps=[videos])
    @told_to_the_user
    def popularity() -> None:
        if trouble:
            raise TROUBLE[trouble]

    @dg.asset(deps=[popularity])
    def predictions() -> None:
        pass

    return dg.Definitions(
        assets=[videos, popularity, predictions],
        asset_checks=[failed_share],
        jobs=[dg.define_asset_job("everything")],
        resources={"settings": Settings()},
        loggers={NAME: stage_lines},
        executor=dg.in_process_executor,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    """One store for all tests: a new Dagster instance takes a second."""
    return str(tmp_path_factory.mktemp("run") / "a store [1]")


@pytest.fixture
def settings(store, monkeypatch) -> Settings:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(store).parent / "cache"))
    return load(environment={"REELCAST_STORE__PATH": store})


def run(settings, monkeypatch, definitions: dg.Definitions, selection: str = "*", **options: bool) -> RunSummary:
    monkeypatch.setattr("pipeline.definitions.defs", definitions)
    return run_graph(settings, selection, **options)


def test_a_stage_is_one_line_and_nothing_is_said_twice(settings, monkeypatch, capfd):
    run(settings, monkeypatch, graph(), "videos, popularity")
    shown = capfd.readouterr()
    lines = shown.out.splitlines()
    assert shown.err == "", "no words of Dagster's"
    assert lines[:2] == ["  videos: 60 items in 0.0 s, 2616.9/s", "  warning: videos: a damaged file"]
    assert [line.split()[:2] for line in lines[2:]] == [["[1/2]", "videos"], ["[2/2]", "popularity"]]


def test_for_programs_the_lines_go_to_standard_error_and_the_result_to_standard_output(settings, monkeypatch, capfd):
    monkeypatch.setattr("pipeline.definitions.defs", graph(share=0.2))
    monkeypatch.setattr("pipeline.project.load_project", lambda: settings)
    assert main(["run", "--json"]) == 0
    shown = capfd.readouterr()
    told = json.loads(shown.out)
    assert list(told["seconds"]) == ["videos", "popularity", "predictions"] and told["failed_checks"] == {}
    assert shown.err.splitlines()[0] == "  videos: 60 items in 0.0 s, 2616.9/s"


def test_a_run_returns_the_checks_that_found_something(settings, monkeypatch):
    found = run(settings, monkeypatch, graph(share=0.5, blocking=False))
    assert found.failed_checks == {"videos: failed_share": "half of them"}


def test_a_wrong_input_ends_with_its_sentence_in_the_shell_and_in_the_ui(settings, monkeypatch, capfd):
    with pytest.raises(RunFailed) as error:
        run(settings, monkeypatch, graph("told"))
    assert str(error.value).splitlines() == [
        "1 later stages were not computed; finished work is kept",
        "popularity: 3 labels are known; at least 10 are needed. Shorten protocol.horizon_hours",
    ]
    shown = capfd.readouterr()
    assert shown.out.splitlines()[-1].startswith("   [2/3] popularity")
    assert "Traceback" not in shown.out + shown.err and "predictions" not in shown.out + shown.err
    with dg.DagsterInstance.from_config(str(settings.store_folder() / "dagster")) as instance:
        record = instance.get_run_records(limit=1)[0]
        (failure,) = [
            entry.dagster_event.step_failure_data
            for entry in instance.all_logs(record.dagster_run.run_id)
            if entry.is_dagster_event and entry.dagster_event.is_step_failure
        ]
    assert failure.user_failure_data.description.startswith("3 labels are known")


def test_a_run_of_a_study_prints_the_same_lines_and_ends_with_the_same_sentence(settings, monkeypatch, capfd):
    for trouble in (None, "told"):
        definitions = graph(trouble)
        monkeypatch.setattr("pipeline.definitions.ASSETS", definitions.assets)
        monkeypatch.setattr("pipeline.definitions.ASSET_CHECKS", definitions.asset_checks)
        part = dg.AssetSelection.assets("popularity").upstream()
        if trouble is None:
            materialise(settings, part)
        else:
            with pytest.raises(RunFailed, match=r"^a run in .*store \[1\] failed\npopularity: 3 labels are known"):
                materialise(settings, part)
        shown = capfd.readouterr()
        lines = shown.err.splitlines()
        assert lines[:2] == ["  videos: 60 items in 0.0 s, 2616.9/s", "  warning: videos: a damaged file"]
        assert [line.split()[:2] for line in lines[2:]] == [["[1/2]", "videos"], ["[2/2]", "popularity"]]
        assert "FAILED" in lines[-1] or trouble is None
        assert shown.out == ""


def test_an_unforeseen_error_says_how_to_see_where_it_happened(settings, monkeypatch):
    with pytest.raises(RunFailed, match=r"in popularity\n") as error:
        run(settings, monkeypatch, graph("unforeseen"), traceback=True)
    assert str(error.value).splitlines()[-1] == (
        "popularity: KeyError: 'no such column' (this was not foreseen: `reelcast run --traceback` shows where it happened)"
    )


def test_a_blocking_check_says_its_figures(settings, monkeypatch):
    with pytest.raises(RunFailed, match=r"videos: the check failed_share did not pass: share 0.5, limit 0.25"):
        run(settings, monkeypatch, graph(share=0.5))


def test_ctrl_c_is_no_failure(settings, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        run(settings, monkeypatch, graph("stopped"))


def test_ctrl_c_does_not_reach_the_processes_that_copy_output_into_the_logs(settings, monkeypatch):
    children, reached = Path(f"/proc/self/task/{os.getpid()}/children"), {}
    others = children.read_text().split()  # of earlier tests

    @dg.asset
    def videos() -> None:
        for child in set(children.read_text().split()) - set(others):
            blocked = re.search(r"^SigBlk:\s*(\w+)", Path(f"/proc/{child}/status").read_text(), re.MULTILINE).group(1)
            reached[child] = not int(blocked, 16) >> signal.SIGINT - 1 & 1

    definitions = dg.Definitions(
        assets=[videos],
        jobs=[dg.define_asset_job("everything")],
        resources={"settings": Settings()},
        loggers={NAME: stage_lines},
        executor=dg.in_process_executor,
    )
    run(settings, monkeypatch, definitions)
    assert len(reached) >= 2 and not any(reached.values())
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "this process is reached as before"


@pytest.mark.parametrize(
    ("selection", "told"), [("populrity", "Did you mean 'popularity'"), ("a b(", "Stages: videos")]
)
def test_a_wrong_selection_names_the_stages(settings, monkeypatch, selection, told):
    with pytest.raises(WrongUse, match=told):
        run(settings, monkeypatch, graph(), selection)


def test_in_a_terminal_progress_is_one_line_that_is_replaced():
    console = Console(force_terminal=True, width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    lines = StageLines(["frames"], console)

    def emit(message: str = "", level: int = logging.INFO, event: DagsterEventType | None = None) -> None:
        record = logging.LogRecord("dagster", level, "", 1, message, None, None)
        told = event and SimpleNamespace(event_type=event)
        record.dagster_meta = {"step_key": "frames", "orig_message": message, "dagster_event": told}
        lines.emit(record)

    emit("Dependencies for step frames were not executed", logging.ERROR)
    assert console.export_text() == "", "a stage that has not started says nothing"
    emit(event=DagsterEventType.STEP_START)
    emit("frames: 50 of 100 items, [1.0/s]")
    emit("frames: 99 of 100 items, [1.0/s]")
    emit("frames: one is damaged", logging.WARNING)
    emit(event=DagsterEventType.STEP_SUCCESS)
    kept = [line.split() for line in console.export_text().splitlines()]
    assert ["warning:", "frames:", "one", "is", "damaged"] in kept
    assert ["[1/1]", "frames"] in [line[:2] for line in kept]


def test_the_command_outside_a_project_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REELCAST_CONFIG", raising=False)
    monkeypatch.delenv("REELCAST_STORE__PATH", raising=False)
    assert main(["run"]) == 2
    assert "no reelcast.toml was found" in capsys.readouterr().err
