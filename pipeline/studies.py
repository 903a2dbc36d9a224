"""Studies: the graph in this process, once per arm, each in a store derived from the data set's own."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from rich.console import Console

from assets.curves.curve_scores import ITEMS as CURVE_ITEMS
from assets.curves.curve_scores import SCORES as CURVE_SCORES
from assets.curves.forecast_curves import NAME as FORECAST_CURVES
from assets.embeddings.acoustic_embeddings import acoustic_embeddings
from assets.embeddings.retrieval_vectors import retrieval_vectors
from assets.embeddings.text_embeddings import text_embeddings
from assets.embeddings.visual_embeddings import visual_embeddings
from assets.feedback.temporal_embeddings import temporal_embeddings
from assets.memory.neighbours import neighbours
from assets.metadata.metadata_features import metadata_features
from assets.prediction.evaluation import ITEMS, evaluation
from assets.prediction.evaluation import NAME as EVALUATION
from assets.prediction.predictions import NAME as PREDICTIONS
from assets.reports.leaderboard import NAME as LEADERBOARD
from assets.reports.leaderboard import STRATA
from assets.reports.scenarios import SCENARIOS, STUDY, plant, scenario_arm
from assets.reports.study import Arm
from assets.settings import Settings
from pipeline.errors import RunFailed
from pipeline.run_graph import quiet_libraries, raise_failures, shown_stages
from pipeline.run_lines import NAME as LINES
from pipeline.run_lines import stage_lines
from pipeline.settings import changed
from storage.derived_store import derive_store
from storage.durable import remove_folder
from storage.store import Store

# Stages that no setting of an arm changes: they are computed once, in the data set's own store.
SHARED = (visual_embeddings, acoustic_embeddings, text_embeddings, retrieval_vectors, metadata_features)
# Stages that follow from the feedback of test items, in order. The stages between them fit something, so they are left out, and
# Dagster would not know the order in one run.
RESPONDING = (temporal_embeddings, neighbours, evaluation)
# Tables of results. A copy of them would pass for an arm's own if its run were interrupted before it had some.
RESULTS = (EVALUATION, ITEMS, PREDICTIONS, CURVE_SCORES, CURVE_ITEMS, FORECAST_CURVES, LEADERBOARD, STRATA)
JOB = "part_of_a_study"


def run_arms(settings: Settings, arms: Sequence[Arm], console: Console) -> list[Settings]:
    """Run the graph up to `evaluation` for each arm. What an earlier, perhaps interrupted, run computed is kept.

    Args:
        settings: Settings of the data set's own store.
        arms: The arms. All settings are checked before the first one runs.
        console: Where to print the progress.

    Returns:
        The settings of each arm.

    Raises:
        pipeline.settings.InvalidSettings: An arm has a setting that is not allowed.
        RunFailed: A run failed; the arms before it are complete.
    """
    store = settings.store_folder()
    each = [changed(settings, arm.all_changes(store)) for arm in arms]
    console.print("features that all arms share", markup=False)
    materialise(settings, dg.AssetSelection.assets(*SHARED).upstream())
    for number, (arm, own) in enumerate(zip(arms, each, strict=True), start=1):
        console.print(f"{arm.study}: {arm.name} ({number} of {len(arms)}), store {own.store_folder()}", markup=False)
        derive_store(Store(store), own.store_folder(), without=RESULTS)
        planted = own.audit.fault != "none"  # the blocking checks would find the leak and stop the run
        materialise(own, dg.AssetSelection.assets(evaluation).upstream(), checked=not planted)
    return each


def run_scenarios(settings: Settings, console: Console) -> None:
    """Run the graph up to `evaluation`, and forecast the test items again in every scenario, without any training.

    Args:
        settings: Settings of the data set's own store.
        console: Where to print the progress.

    Raises:
        RunFailed: A run failed.
    """
    console.print("models of the data set's own store", markup=False)
    materialise(settings, dg.AssetSelection.assets(evaluation).upstream())
    store = Store(settings.store_folder())
    for name, scenario in SCENARIOS.items():
        own = changed(settings, scenario_arm(name).all_changes(store.root))
        console.print(f"{STUDY}: {name}, store {own.store_folder()}", markup=False)
        if own.store_folder().exists():
            remove_folder(own.store_folder())  # tables and models must be those of the data set's own store
        plant(derive_store(store, own.store_folder()), scenario)
        for stage in RESPONDING:
            # Blocking checks compare the feedback with the data set and would stop the run.
            materialise(own, dg.AssetSelection.assets(stage), checked=False)


@quiet_libraries()
def materialise(settings: Settings, selection: dg.AssetSelection, *, checked: bool = True) -> None:
    """Run a part of the graph in this process, and print one line per stage.

    Args:
        settings: The settings.
        selection: The assets.
        checked: Whether to run the checks beside them, which stop a run that leaks.

    Raises:
        RunFailed: A stage or a blocking check failed; the message names the store and the stage.
        KeyboardInterrupt: The run was stopped by Ctrl-C.
    """
    from pipeline.definitions import ASSET_CHECKS, ASSETS

    definitions = dg.Definitions(
        assets=ASSETS,
        asset_checks=ASSET_CHECKS if checked else [],
        jobs=[dg.define_asset_job(JOB, selection)],
        resources={"settings": settings},
        loggers={LINES: stage_lines},
    )
    graph = definitions.resolve_asset_graph()
    chosen = selection.resolve(graph)
    stages = [key.to_user_string() for key in graph.toposorted_asset_keys if key in chosen]
    job = definitions.resolve_job_def(JOB)
    result = job.execute_in_process(run_config=shown_stages(stages, on_error_stream=True), raise_on_error=False)
    if not result.success:
        try:
            raise_failures(result.all_events, stages)
        except RunFailed as error:
            raise RunFailed(f"a run in {settings.store_folder()} failed\n{error}") from None
