"""The predictors of `model.train`, one model per predictor and seed."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import polars as pl

from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.plots import fit_curves
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.progress import Progress
from assets.engine.refit_policy import changed_since, fitted_on, keep_facts
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.feedback.hawkes_process import check_fitted
from assets.memory.feature_join import usable_items
from assets.memory.neighbours import neighbours
from assets.metadata.window_columns import window_columns
from assets.prediction.input_digests import FITS, TABLES, input_digests
from assets.prediction.model_obstacles import NAME as OBSTACLES
from assets.prediction.model_obstacles import (
    find_obstacles,
    fitted_models,
    keep_obstacles,
    read_obstacles,
    standing_obstacles,
)
from assets.prediction.stacking import WEIGHTS
from assets.prediction.trained_models import (
    FOLDER,
    TrainedModel,
    artifact_names,
    artifact_of,
    model_fingerprint,
    model_in_service,
    trained_models,
)
from assets.prediction.training_processes import fit_model, fit_side_by_side, inputs_of, is_network, side_by_side
from assets.prediction.training_ranks import fit_on_ranks, training_devices
from assets.prediction.tuned_options import note_tuned, tuned_names
from assets.prediction.validation import NAME as VALIDATION
from assets.prediction.validation import keep_validation, read_validation
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from models.predictors.training_report import TrainingReport
from storage.hashing import content_hash
from storage.store import Store

CODE = 4  # raise it when the same inputs give another result


@dg.asset(
    group_name="prediction",
    kinds={"pytorch"},
    deps=[neighbours, window_columns],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "popularity_model",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES),
        *artifact_marks(store, *FITS, *tuned_names(settings)),
    ],
    makes=lambda store, settings: [
        *artifact_marks(store, *artifact_names(settings)),
        *table_marks(store, OBSTACLES, VALIDATION, WEIGHTS),
    ],
    when_skipped=lambda last: {**last, "trained": dg.MetadataValue.json([])},
)
def popularity_model(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Train every model whose parameters or features changed; the others stay in service.

    A predictor that cannot be fitted to the data is left out (`assets.prediction.model_obstacles`). A model also stays in
    service while less than `model.refit_share` of the items it was fitted on has changed.
    """
    store = open_store(settings)
    note_tuned(context, store, settings, list(dict.fromkeys(model.predictor for model in trained_models(settings))))
    digests, training = input_digests(store, "train", "val"), set(items_of(usable_items(store), "train"))
    obstacles = standing_obstacles(store, settings, code=CODE, inputs_hash=content_hash(digests))
    todo: dict[TrainedModel, str] = {}
    for model in trained_models(settings):
        if model.name in obstacles["name"]:
            continue
        service = artifact_of(store, model).current(verify=True)
        todo[model] = "not trained yet" if service is None else "its parameters or its features' versions changed"
        if service is not None and service.fingerprint == model_fingerprint(store, settings, model, code=CODE).hash:
            with service.reading() as folder:
                change = changed_since(folder, digests, training)
            todo[model] = str(change)
            if change.keeps(settings.model.refit_share):
                context.log.info("popularity_model: %s stays, %s", model, change)
                del todo[model]
    if todo:
        stop_if_planning(reason="; ".join(f"{model}: {reason}" for model, reason in todo.items()))
        todo = _train(context, store, settings, list(todo), obstacles, digests)
    else:
        keep_obstacles(context, store, settings, obstacles)
    keep_validation(context, store, settings)
    models = fitted_models(store, settings)
    versions = [artifact_of(store, model).current() for model in models]
    metadata: dict[str, object] = {"trained": dg.MetadataValue.json([str(model) for model in todo])}
    if len(left_out := read_obstacles(store)):
        metadata["left_out"] = dg.MetadataValue.json(dict(left_out.select("title", "reason").iter_rows()))
    curves = {}
    for model, version in zip(models, versions, strict=True):
        metadata[f"{model}: validation nMSE"] = version.metadata["best_dev_nmse"]
        curves[str(model)] = version.metadata["curve"]
    if curves := {name: curve for name, curve in curves.items() if curve}:
        metadata["training_curves"] = fit_curves(curves, label="validation nMSE")
    return dg.MaterializeResult(data_version=version_of_artifacts(*versions), metadata=metadata)


def _train(
    context: dg.AssetExecutionContext,
    store: Store,
    settings: Settings,
    models: list[TrainedModel],
    obstacles: pl.DataFrame,
    digests: dict[str, str],
) -> list[TrainedModel]:
    """Train the models, those that are worth it side by side, and store each when it is done.

    Args:
        context: The asset's context.
        store: The store.
        settings: The settings.
        models: Models to train.
        obstacles: Known obstacles of other models; those of `models` are found and stored with them.
        digests: Hash of what is read of each training and validation item.

    Returns:
        The trained models: those without an obstacle.
    """
    several = len(training_devices(settings)) > 1
    inputs, passes = inputs_of(store, settings), settings.model.max_epochs
    found = find_obstacles(store, settings, models, inputs[0], inputs[2], code=CODE, inputs_hash=content_hash(digests))
    keep_obstacles(context, store, settings, pl.concat([obstacles, found]))
    models = [model for model in models if model.name not in found["name"]]
    items = sorted(set(inputs[0].items.tolist()))
    together = [] if several else side_by_side(settings, models, windows=len(inputs[0]))
    for model in models:
        if several and is_network(model):
            progress = Progress(context.log, f"popularity_model: {model}", passes, unit="passes")
            with TemporaryDirectory() as folder:
                report = fit_on_ranks(settings, model, Path(folder), progress=progress.advance)
                save = partial(shutil.copytree, Path(folder) / model.artifact)
                _keep(context, store, settings, model, report, save, items, digests)
        elif model not in together:
            progress = Progress(context.log, f"popularity_model: {model}", passes, unit="passes")
            predictor, report = fit_model(store, settings, model, inputs, progress=progress.advance)
            _keep(context, store, settings, model, report, predictor.save, items, digests)
    if together:
        del inputs  # the processes read their own
        told = f"popularity_model: {', '.join(map(str, together))}"
        progress = Progress(context.log, told, passes * len(together), unit="passes")
        with TemporaryDirectory() as folder:
            for model, report in fit_side_by_side(settings, together, Path(folder), progress=progress.advance):
                save = partial(shutil.copytree, Path(folder) / model.artifact)
                _keep(context, store, settings, model, report, save, items, digests)
    return models


def _keep(
    context: dg.AssetExecutionContext,
    store: Store,
    settings: Settings,
    model: TrainedModel,
    report: TrainingReport,
    save: Callable[[Path], object],
    items: list[str],
    digests: dict[str, str],
) -> None:
    """Store a fitted model as a new version of its artifact, and log it."""
    metadata = {
        "title": model.title,
        "seed": model.seed,
        "best_epoch": report.best_epoch,
        "best_dev_nmse": report.best_dev_nmse,
        "seconds": round(report.seconds, 2),
        "parameters": report.parameters,
        "peak_memory_mb": report.peak_memory_mb and round(report.peak_memory_mb, 1),
        "curve": [[epoch.epoch, epoch.prediction_loss, epoch.dev_nmse] for epoch in report.epochs],
    }
    fingerprint = model_fingerprint(store, settings, model, code=CODE)
    with artifact_of(store, model).new(
        inputs_hash=content_hash(digests), fingerprint=fingerprint.hash, metadata=metadata
    ) as folder:
        save(folder / FOLDER)
        keep_facts(folder, dict.fromkeys(("model", "standardisers"), items), digests)
    note_run(context, store, model.artifact, computed=len(items), seconds=report.seconds)
    context.log.info(
        "popularity_model: %s, validation nMSE %.4f at pass %d, %.1f s",
        *(model, report.best_dev_nmse, report.best_epoch, report.seconds),
    )


@dg.asset_check(asset=popularity_model, blocking=True)
@verdict_stands(
    "model_is_fitted_on_training_items",
    reads=lambda store, settings: [
        *artifact_marks(store, *artifact_names(settings)),
        *table_marks(store, OBSTACLES, "splits"),
    ],
)
def model_is_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """Every model and its standardisers were fitted on training items only (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    fitted: dict[str, list[str]] = {}
    for model in fitted_models(store, settings):
        with model_in_service(store, model).reading() as folder:
            fitted |= {f"{model} {name}": items for name, items in fitted_on(folder).items()}
    return check_fitted(fitted, read_splits(store))


@dg.asset_check(asset=popularity_model, blocking=True)
@verdict_stands(
    "stack_is_fitted_on_validation_items",
    reads=lambda store, settings: table_marks(store, VALIDATION, "splits"),
)
def stack_is_fitted_on_validation_items(settings: Settings) -> dg.AssetCheckResult:
    """The stack's weights and the choice of the served row rest on validation items only (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    return check_validation(read_validation(store), read_splits(store))


def check_validation(items: pl.DataFrame, sides: pl.DataFrame) -> dg.AssetCheckResult:
    """Check which items the weights were fitted on.

    Args:
        items: The table `validation_items`.
        sides: The table `splits`.
    """
    leaks = sorted(set(items["item"]) - set(items_of(sides, "val")))
    return dg.AssetCheckResult(passed=not leaks, metadata={"outside_validation": dg.MetadataValue.json(leaks[:10])})
