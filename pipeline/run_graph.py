"""One run of the graph, or a part of it, in this shell: what it shows, and the sentence it ends with if it fails."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import dagster as dg
from dagster import DagsterEventType

from assets.settings import Settings
from pipeline.errors import RunFailed, WrongUse
from pipeline.run_lines import NAME as LINES
from pipeline.run_lines import was_interrupted


@dataclass(frozen=True)
class RunSummary:
    """A run that ended well.

    Attributes:
        run: Its id, under which the UI shows it.
        seconds: Stage -> seconds, of each stage that ran.
        failed_checks: Name of a check that found something -> what it found.
    """

    run: str
    seconds: dict[str, float]
    failed_checks: dict[str, str]


@dataclass(frozen=True)
class Failure:
    """A stage or check that failed.

    Attributes:
        stage: Name of the asset, or of the check's asset.
        sentence: What went wrong, and what to do.
        traceback: Where it happened, for whoever mends the code.
    """

    stage: str
    sentence: str
    traceback: str


def everything() -> dg.JobDefinition:
    """Return the job over the whole graph, which Dagster loads by this function's name in every process."""
    from pipeline.definitions import defs

    return defs.resolve_job_def("everything")


def select(selection: str) -> list[dg.AssetKey]:
    """Return the assets that a selection names, in the order of the graph.

    Args:
        selection: Dagster's selection syntax, such as `popularity_model+`; parts may be separated by commas.

    Raises:
        WrongUse: It names no asset; the message suggests names.
    """
    from pipeline.definitions import defs

    graph = defs.resolve_asset_graph()
    names = [key.to_user_string() for key in graph.toposorted_asset_keys]
    try:
        parts = [dg.AssetSelection.from_string(part.strip()) for part in selection.split(",")]
        chosen = set().union(*(part.resolve(graph) for part in parts))
    except dg.DagsterError:  # its own message lists every name, or says no more than that the syntax is wrong
        chosen = set()
    if not chosen:
        raise WrongUse(f"--select {selection!r} names no stage. {_near(selection, names)}")
    return [key for key in graph.toposorted_asset_keys if key in chosen]


def _near(selection: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(selection.strip("+* "), names, n=1)
    if near:
        return f"Did you mean {near[0]!r}? Or {near[0]}+ for all that follows from it; `reelcast plan` lists the stages"
    return f"Stages: {', '.join(names)}"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide libraries' remarks on their own code, which no user can mend."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        yield


@quiet_libraries()
def run_graph(
    settings: Settings, selection: str, *, traceback: bool = False, on_error_stream: bool = False
) -> RunSummary:
    """Run a part of the graph, and print one line per stage.

    Args:
        settings: The settings; they name the store, and with it the Dagster instance that keeps the run.
        selection: The part; see `select`.
        traceback: Whether to print where a failure happened.
        on_error_stream: Whether the lines go to standard error.

    Returns:
        What ran.

    Raises:
        WrongUse: The selection names no asset.
        RunFailed: A stage or a blocking check failed.
        StoreError: The store or the results cannot be written, or the disk is too full.
        KeyboardInterrupt: The run was stopped by Ctrl-C.
    """
    from sqlalchemy.exc import DatabaseError

    from assets.engine.store_access import open_store
    from pipeline.instance import check_database, instance_home
    from pipeline.run_origin import name_origin_of_runs
    from pipeline.shielded_log_capture import shield_log_capture

    keys = select(selection)
    open_store(settings)  # a full or unwritable disk ends the run here, in one line
    home = instance_home(settings, os.environ)
    check_database(settings)
    stages = [key.to_user_string() for key in keys]
    try:
        with _dagster_home(home), dg.DagsterInstance.get() as instance:
            name_origin_of_runs(instance)
            shield_log_capture(instance)
            result = dg.execute_job(
                dg.reconstructable(everything),
                instance=instance,
                asset_selection=keys,
                run_config=shown_stages(stages, on_error_stream=on_error_stream),
                raise_on_error=False,
            )
    except DatabaseError as error:
        raise RunFailed(
            f"{home}: Dagster's record of runs cannot be written ({error.orig}); is the disk full? Free some space, and "
            "run again: finished work is kept"
        ) from error
    if not result.success:
        raise_failures(result.all_events, stages, traceback=traceback)
    return _summary(result, stages)


def _summary(result: dg.ExecutionResult, stages: Sequence[str]) -> RunSummary:
    seconds, failed = {}, {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and event.step_key in stages:
            seconds[event.step_key] = event.step_success_data.duration_ms / 1000
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                failed[f"{check.asset_key.to_user_string()}: {check.check_name}"] = check.description or ""
    return RunSummary(result.run_id, seconds, failed)


def shown_stages(stages: Sequence[str], *, on_error_stream: bool = False) -> dict[str, object]:
    """Return the configuration of a run that prints one line per stage.

    Args:
        stages: Names of the stages, in order.
        on_error_stream: Whether to print to standard error, because the command prints a result of its own.
    """
    return {"loggers": {LINES: {"config": {"stages": list(stages), "on_error_stream": on_error_stream}}}}


def raise_failures(events: Sequence[dg.DagsterEvent], stages: Sequence[str], *, traceback: bool = False) -> NoReturn:
    """Raise the error that a failed run ends with.

    Args:
        events: The run's events.
        stages: Names of the stages that the run was to compute.
        traceback: Whether the message tells where a failure happened.

    Raises:
        RunFailed: A stage or a blocking check failed.
        KeyboardInterrupt: Nothing failed, so the run was stopped by Ctrl-C.
    """
    failures, done = failures_of(events), stages_done(events)
    if not failures:
        raise KeyboardInterrupt
    left = len(set(stages) - done - {failure.stage for failure in failures})
    told = [failure.traceback for failure in failures if traceback]
    stages_of: dict[str, list[str]] = {}
    for failure in failures:  # a wrong data set stops every stage that reads it
        stages_of.setdefault(failure.sentence, []).append(failure.stage)
    told += [f"{', '.join(names)}: {sentence}" for sentence, names in stages_of.items()]
    later = f"{left} later stages were not computed; finished work is kept\n" if left else ""
    raise RunFailed(later + "\n".join(told))


@contextmanager
def _dagster_home(folder: str) -> Iterator[None]:
    """Set DAGSTER_HOME, which a run's processes read too, and put it back as it was."""
    before = os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["DAGSTER_HOME"]
        else:
            os.environ["DAGSTER_HOME"] = before


def stages_done(events: Sequence[dg.DagsterEvent]) -> set[str]:
    """Return the names of the assets that a run's events say are computed."""
    return {
        event.asset_key.to_user_string()
        for event in events
        if event.event_type == DagsterEventType.ASSET_MATERIALIZATION and event.asset_key is not None
    }


def failures_of(events: Sequence[dg.DagsterEvent]) -> list[Failure]:
    """Return what failed, in order; a step that was interrupted did not fail."""
    failures = []
    refused: dict[str, dg.AssetCheckEvaluation] = {}
    for event in events:
        if event.event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed:
                refused[event.step_key or ""] = evaluation
        elif event.is_step_failure and event.step_key not in refused:
            data = event.step_failure_data
            cause = data.error.cause or data.error if data.error else None
            if not was_interrupted(event):
                failures.append(Failure(event.step_key or "", _sentence(data, cause), str(data.error)))
        elif event.is_step_failure:
            evaluation = refused[event.step_key or ""]
            failures.append(Failure(evaluation.asset_key.to_user_string(), _told(evaluation), ""))
    return failures


def _sentence(data: object, cause: object) -> str:
    """Return a failure's description; of an error that was not foreseen, its class and message."""
    described = getattr(data.user_failure_data, "description", None)
    if described:
        return described
    if cause is None:
        return "failed without an error"
    message = cause.message.strip()
    return f"{message} (this was not foreseen: `reelcast run --traceback` shows where it happened)"


def _told(evaluation: dg.AssetCheckEvaluation) -> str:
    figures = ", ".join(f"{name} {value.value}" for name, value in evaluation.metadata.items())
    return f"the check {evaluation.check_name} did not pass: {evaluation.description or figures}"
