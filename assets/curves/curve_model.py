"""Forecast curves: regressions over all horizons and simulated continuations, combined and calibrated."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
import numpy as np
import polars as pl

from assets.curves.curve_inputs import CurveInputSource
from assets.curves.forecast import CONTENT, NAME
from assets.curves.simulated_curves import simulated_curves
from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.refit_policy import changed_since, fitted_on, keep_facts
from assets.engine.run_log import note_run
from assets.engine.shown_tables import table_of
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.memory.feature_join import usable_items, versions
from assets.memory.neighbours import neighbours
from assets.metadata.window_columns import window_columns
from assets.prediction.forecast_rows import ForecastRows
from assets.prediction.input_digests import FITS, TABLES, input_digests
from assets.prediction.predictor_inputs import samples_of
from assets.protocol.fitted_on_training import check_fitted
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from assets.settings.target import horizon_name
from models.curves.curve_inputs import CurveInputs
from models.curves.curve_model import ENOUGH, CurveModel
from models.curves.target_curve import CANDIDATES, NONE
from models.predictors import Samples
from models.predictors.content_components import ContentComponents
from storage.artifact_version import ArtifactVersion
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

CALIBRATED = "calibrated_on.json"  # items whose residuals calibrate the curves
HALF_LIFE = 0.25  # share of the items, from the newest back, within which the weight of a residual halves
CODE = 2  # raise it when the same inputs give another result


@dg.asset(
    group_name="curves",
    kinds={"catboost"},
    deps=[simulated_curves, neighbours, window_columns],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, *TABLES),
        *artifact_marks(store, *FITS),
    ],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def curve_model(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Fit the curve model on training items, and calibrate it on training items out of fold and on validation items.

    The model in service stays while less than `model.refit_share` of these items has changed.
    """
    store = open_store(settings)
    rows = ForecastRows(store, settings)
    source = CurveInputSource(rows, ContentComponents({}, {}))
    digests, training = _digests(store, source), set(items_of(usable_items(store), "train"))
    fingerprint = Fingerprint(
        code=CODE,
        parameters={
            "horizons": source.horizons.tolist(),
            "targets": [target.name for target in rows.targets],
            "curves": settings.curves.model_dump(exclude={"horizons", "classical"}),
            "ages": source.grid,
            "seed": settings.process.seed,
            "split": settings.protocol.split,
        },
        model=versions(store),
    )
    artifact = store.artifact(NAME)
    service = artifact.current(verify=True)
    reason = "not fitted yet" if service is None else "its parameters or its features' versions changed"
    if service is not None and service.fingerprint == fingerprint.hash:
        with service.reading() as folder:
            change = changed_since(folder, digests, training)
        reason = str(change)
        if change.keeps(settings.model.refit_share):
            context.log.info("curve_model: version %d stays, %s", service.version, reason)
            return _result(service)
    stop_if_planning(reason=reason)
    train = samples_of(store, settings, "train", age="all")
    source = CurveInputSource(rows, ContentComponents.fit(train.features.take(train.first_windows)))
    dev = samples_of(store, settings, "val", age="all")
    started = time.monotonic()
    deadline = _deadline(rows)
    inputs = cut_like_new_items(settings, source.inputs(train), source.inputs(dev))
    model = CurveModel.fit(
        *_recent_first(rows, *inputs),
        _counts(source, train, deadline),
        _counts(source, dev, deadline),
        horizons=source.horizons,
        shares=train.weights * len(train),
        seed=settings.process.seed,
    )
    seconds = time.monotonic() - started
    metadata = {
        "seconds": round(seconds, 2),
        "chosen": _chosen(model, rows, source),
        "followed": {
            target.name: dict(zip(map(horizon_name, source.horizons.tolist()), counts.tolist(), strict=True))
            for target, counts in zip(rows.targets, model.followed, strict=True)
        },
    }
    with artifact.new(inputs_hash=content_hash(digests), fingerprint=fingerprint.hash, metadata=metadata) as folder:
        model.save(folder)
        source.content.save(folder / CONTENT)
        items = sorted(set(train.items.tolist()))
        keep_facts(folder, dict.fromkeys(("regression", "content"), items), digests)
        (folder / CALIBRATED).write_text(json.dumps(sorted({*items, *dev.items.tolist()})), encoding="utf-8")
    note_run(context, store, NAME, computed=len(digests), seconds=seconds)
    context.log.info("curve_model: fitted in %.1f s", seconds)
    return _result(artifact.current())


def _digests(store: Store, source: CurveInputSource) -> dict[str, str]:
    """Return a hash of what the model reads of each training and validation item, its counts at all horizons included."""
    digests = input_digests(store, "train", "val")
    counts = source.counts(list(digests)).count
    return {item: content_hash(digest, row) for (item, digest), row in zip(digests.items(), counts, strict=True)}


def _deadline(rows: ForecastRows) -> float:
    """Return until which unix ms a count must be known to be fitted on: the first test item's publication, if split by time."""
    if rows.settings.protocol.split != "chronological":
        return np.inf
    tested = items_of(usable_items(rows.store), "test")
    return float(rows.popularity.filter(pl.col("item").is_in(tested))["t0"].min())


def cut_like_new_items(settings: Settings, train: CurveInputs, dev: CurveInputs) -> tuple[CurveInputs, CurveInputs]:
    """Return windows whose residuals are like those of new items.

    With `protocol.first_k` windows differ in length. A training item's windows are cut at random ages within its own window,
    so a young one is more often that of an item whose first events came fast. Validation items are cut at the ages of
    `protocol.ages`, as new ones are. At ages with enough of these, they alone calibrate.

    Args:
        settings: The settings.
        train: Windows of training items.
        dev: Windows of validation items.
    """
    if settings.protocol.first_k is None:
        return train, dev
    enough = np.array([len(np.unique(dev.items[weight > 0])) >= ENOUGH for weight in dev.weights.T])
    enough[-1] = False  # whole windows
    return replace(train, weights=np.where(enough, 0.0, train.weights)), dev


def _recent_first(rows: ForecastRows, *parts: CurveInputs) -> list[CurveInputs]:
    """Return windows whose weights in the calibration halve with every `HALF_LIFE` of the items before the last one.

    With a split by time, errors change over time, and exchangeability fails (Barber et al. 2023). Otherwise weights stay.
    """
    if rows.settings.protocol.split != "chronological":
        return list(parts)
    items = np.unique(np.concatenate([part.items for part in parts]))
    published = rows.popularity.filter(pl.col("item").is_in(items.tolist())).sort("t0", "item")["item"].to_list()
    age = {item: 1.0 - place / len(published) for place, item in enumerate(published, start=1)}
    return [
        replace(part, weights=part.weights * np.array([0.5 ** (age[item] / HALF_LIFE) for item in part.items])[:, None])
        for part in parts
    ]


def _counts(source: CurveInputSource, samples: Samples, deadline: float) -> np.ndarray:
    found = source.counts(samples.items.tolist())
    return np.where(found.since <= deadline, found.count, np.nan)


def _chosen(model: CurveModel, rows: ForecastRows, source: CurveInputSource) -> list[dict[str, object]]:
    """Return the combination that serves each target, age and horizon, with the cross-validated CRPS of all of them."""
    table = []
    for target, curve in zip(rows.targets, model.curves, strict=True):
        for age, horizon in np.argwhere(curve.chosen != NONE):
            scores = {
                str(candidate): round(float(score), 4)
                for candidate, score in zip(CANDIDATES, curve.scores[age, horizon], strict=True)
                if not np.isnan(score)
            }
            table.append(
                {
                    "target": target.name,
                    "age_hours": source.grid[age],
                    "horizon": horizon_name(float(source.horizons[horizon])),
                    "chosen": str(CANDIDATES[curve.chosen[age, horizon]]),
                    "crps": scores,
                }
            )
    return table


def _result(version: ArtifactVersion) -> dg.MaterializeResult:
    rows = []
    for row in version.metadata["chosen"]:
        age = "whole window" if row["age_hours"] is None else f"{row['age_hours']:g} h"
        rows.append(
            {name: row[name] for name in ("target", "horizon", "chosen")}
            | {"age": age, "CRPS": min(row["crps"].values())}
        )
    return dg.MaterializeResult(
        data_version=version_of_artifacts(version),
        metadata={
            "version": version.version,
            "seconds": version.metadata["seconds"],
            "chosen": table_of(pl.DataFrame(rows)),
            "followed_training_items": dg.MetadataValue.json(version.metadata["followed"]),
        },
    )


@dg.asset_check(asset=curve_model, blocking=True)
@verdict_stands(
    "curve_model_is_fitted_on_training_items",
    reads=lambda store, settings: [*artifact_marks(store, NAME), *table_marks(store, "splits")],
)
def curve_model_is_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """The regressions and their columns were fitted on training items only (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    with store.artifact(NAME).current().reading() as folder:
        return check_fitted(fitted_on(folder), read_splits(store))


@dg.asset_check(asset=curve_model, blocking=True)
@verdict_stands(
    "curves_are_calibrated_without_test_items",
    reads=lambda store, settings: [*artifact_marks(store, NAME), *table_marks(store, "splits")],
)
def curves_are_calibrated_without_test_items(settings: Settings) -> dg.AssetCheckResult:
    """Calibration used training and validation items only, and each training item out of fold (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    with store.artifact(NAME).current().reading() as folder:
        items = json.loads((folder / CALIBRATED).read_text(encoding="utf-8"))
    return check_calibrated(items, read_splits(store))


def check_calibrated(items: Sequence[str], sides: pl.DataFrame) -> dg.AssetCheckResult:
    """Check that a model was calibrated on training and validation items only.

    Args:
        items: Ids of the items.
        sides: The table `splits`.
    """
    outside = sorted(set(items) - set(items_of(sides, "train")) - set(items_of(sides, "val")))
    return dg.AssetCheckResult(passed=not outside, metadata={"outside": dg.MetadataValue.json(outside[:10])})
