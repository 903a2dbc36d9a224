"""Trials of versions that are not in service: forecasts with another memory bank or other models, in a store of their own.

The store of a trial is derived from the data set's store by hard links, and the other versions are in service only there. So
runs of the data set's store, and the forecasts that it serves, never see a trial.
"""

from __future__ import annotations

from collections.abc import Callable

import dagster as dg
import polars as pl

from assets.memory.feature_join import versions
from assets.memory.memory_bank import NAME as BANK
from assets.memory.neighbours import neighbours
from assets.monitoring.version_comparison import Comparison, compare_pairs, pair_forecasts, served_forecasts_of
from assets.prediction.evaluation import evaluation
from assets.prediction.predictions import predictions
from assets.prediction.trained_models import NAME as MODELS
from assets.reports.study import Arm
from assets.settings import Settings
from pipeline.settings import changed
from pipeline.studies import RESULTS, materialise
from storage.artifact import Artifact
from storage.bank import MemoryBank, check_versions
from storage.derived_store import derive_store
from storage.durable import StoreError, remove_folder
from storage.store import Store

STUDY = "version_trials"
STAGES = (neighbours, evaluation, predictions)


def compare_banks(settings: Settings, first: int, second: int) -> tuple[pl.DataFrame, list[Comparison]]:
    """Forecast the same items with two versions of the memory bank, and the models in service.

    Test items that are members of one of the two are left out.

    Args:
        settings: Settings of the data set's store.
        first: Number of a version.
        second: Number of another version.

    Returns:
        The pairs of forecasts (`pair_forecasts`), and the comparison of every target.

    Raises:
        StoreError: A version does not exist, or other encoders made its vectors, so that the present videos cannot be compared
            with them.
        pipeline.studies.RunFailed: A stage failed.
    """
    store = Store(settings.store_folder())
    artifact, made_by = store.artifact(BANK), versions(store)
    members = set()
    for number in (first, second):
        version = artifact.find(number)
        check_versions(version, made_by)
        members |= set(MemoryBank(version).items.tolist())

    def serve(number: int) -> Callable[[Store], None]:
        return lambda trial: trial.artifact(BANK).pin(number)

    sides = [_forecasts(settings, f"bank_{number}", serve(number)) for number in (first, second)]
    pairs = pair_forecasts(*sides, without=members)
    return pairs, compare_pairs(pairs)


def compare_with_earlier_models(settings: Settings) -> tuple[pl.DataFrame, list[Comparison]]:
    """Forecast the same items with the models that were in service before the last training, and with the present ones.

    The row that is served, and the weights of the stack, are those of the present models.

    Args:
        settings: Settings of the data set's store.

    Returns:
        As `compare_banks`; the earlier models come first.

    Raises:
        StoreError: No model has an earlier version.
        pipeline.studies.RunFailed: A stage failed.
    """
    store = Store(settings.store_folder())
    earlier = {artifact.name: past for artifact in _models(store) if (past := _before(artifact)) is not None}
    if not earlier:
        raise StoreError(
            f"{store.root}: no model was in service before the present ones, so there is nothing to compare"
        )

    def roll_back(trial: Store) -> None:
        for name, version in earlier.items():
            trial.artifact(name).activate(version)

    sides = [_forecasts(settings, "models_before", roll_back), _forecasts(settings, "models_now", lambda trial: None)]
    pairs = pair_forecasts(*sides)
    return pairs, compare_pairs(pairs)


def _models(store: Store) -> list[Artifact]:
    return [store.artifact(name) for name in store.names("artifacts") if name.startswith(f"{MODELS}_")]


def _before(artifact: Artifact) -> int | None:
    """Return the version that precedes the one in service, of those that are kept."""
    service = artifact.current()
    kept = [] if service is None else [one.version for one in artifact.versions() if one.version < service.version]
    return max(kept, default=None)


def _forecasts(settings: Settings, name: str, prepare: Callable[[Store], None]) -> pl.DataFrame:
    """Return the served row's forecasts in a new derived store in which `prepare` has put other versions in service."""
    store = settings.store_folder()
    arm = Arm(STUDY, name, {"model": {"serve": settings.model.serve}})
    own = changed(settings, arm.all_changes(store))
    if own.store_folder().exists():
        remove_folder(own.store_folder())
    trial = derive_store(Store(store), own.store_folder(), without=RESULTS)
    prepare(trial)
    for stage in STAGES:
        materialise(own, dg.AssetSelection.assets(stage), checked=False)
    forecasts = served_forecasts_of(trial, own)
    remove_folder(trial.root)  # its links would keep files that the data set's store has removed
    return forecasts
