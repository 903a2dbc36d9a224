"""SASRec over multi-modal items: what users click next, from the training videos' observed feedback (MUFM, appendix 5)."""

import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import numpy as np

from assets.audience.item_content import item_content
from assets.audience.user_histories import NAME as HISTORIES
from assets.audience.user_histories import OFF, KeptHistories, read_histories, user_histories
from assets.embeddings.text_embeddings import text_embeddings
from assets.embeddings.visual_embeddings import visual_embeddings
from assets.encoding.encoder_choice import device_of
from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.plots import fit_curve
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.progress import Progress
from assets.engine.refit_policy import changed_since, fitted_on, keep_facts
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.protocol.fitted_on_training import check_fitted
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from models.determinism import deterministic
from models.recommender_table import recommender_class
from models.recommenders import ItemFeatures, UserHistories, leave_one_out
from models.recommenders.sasrec import SASRec
from storage.artifact_version import ArtifactVersion
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "sasrec"
CODE = 1  # raise it when the same inputs give another result
MODEL = "model"


@dg.asset(
    group_name="audience",
    kinds={"pytorch"},
    deps=[user_histories, visual_embeddings, text_embeddings],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *artifact_marks(store, HISTORIES),
        *stage_marks(store, "visual_embeddings", "text_embeddings"),
        *table_marks(store, "splits"),
    ],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def sasrec(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Fit SASRec to the observed exposures, if `audience.train` names it; the last click of each user is for validation.

    `audience.folds` models are fitted, each without the exposures of its share of the items.

    The version in service stays while less than `audience.refit_share` of the training items' exposures and content has
    changed. If nothing can be fitted, the new version holds no model and says why.
    """
    store, audience = open_store(settings), settings.audience
    if NAME not in audience.train:
        context.log.info("sasrec: nothing to do, %s", _off(settings))
        return dg.MaterializeResult(data_version=dg.DataVersion("off"), metadata={"skipped": _off(settings)})
    kept = read_histories(store)
    histories = kept.histories.only(np.asarray(kept.observed))
    model = recommender_class(NAME).from_options(audience.options.get(NAME, {}))
    digests = exposure_digests(store, histories)
    artifact = store.artifact(NAME)
    parameters = {"options": audience.options.get(NAME, {}), **audience.model_dump(include={"seed", "folds"})}
    parameters["model"] = model.code
    fingerprint = Fingerprint(code=CODE, parameters=parameters)
    service = artifact.current(verify=True)
    reason = "not fitted yet" if service is None else "its parameters changed"
    if service is not None and service.fingerprint == fingerprint.hash:
        with service.reading() as folder:
            change = changed_since(folder, digests, set(items_of(read_splits(store), "train")))
        reason = str(change)
        if change.keeps(audience.refit_share):
            context.log.info("sasrec: version %d stays, %s", service.version, reason)
            return _result(service)
    stop_if_planning(reason=reason)
    obstacle, metadata = _obstacle(kept, histories, model), {}
    features = item_content(store, histories.items.tolist()) if kept.features is None else kept.features
    obstacle = obstacle or next(
        filter(
            None,
            (model.obstacle(without_fold(histories, fold, audience.folds), features) for fold in range(audience.folds)),
        ),
        None,
    )
    with artifact.new(inputs_hash=content_hash(digests), fingerprint=fingerprint.hash, metadata=metadata) as folder:
        if obstacle is None:
            metadata |= _fit(context, settings, histories, features, folder)
            keep_facts(folder, {"exposures": sorted(digests)}, digests)
        else:
            context.log.info("sasrec: not fitted, %s", obstacle)
            metadata["not_fitted_because"] = obstacle
            keep_facts(folder, {}, digests)
    note_run(context, store, NAME, computed=len(digests), seconds=metadata.get("seconds", 0.0))
    return _result(artifact.current())


def _off(settings: Settings) -> str:
    return "audience.train does not name sasrec" if settings.audience.train else OFF


def _obstacle(kept: KeptHistories, histories: UserHistories, model: SASRec) -> str | None:
    """Return why no score of the data set's videos can come from these histories; None if it can."""
    if not len(histories.item):
        return "no exposure lies in the observation window of a training item"
    if kept.features is not None:
        return "the log's items have vectors of their own, which the data set's videos lack"
    if model.config.ids:
        return "options.ids is true, and a video without training clicks has no learned vector"
    return None


def exposure_digests(store: Store, histories: UserHistories) -> dict[str, str]:
    """Return a hash of each exposed item's exposures and content: what a fit reads of it."""
    content: dict[str, list[str]] = {}
    for name in ("visual_embeddings", "text_embeddings"):
        for item, digest in store.stages()[name].states().select("item", "output_hash").iter_rows():
            content.setdefault(item, []).append(digest)
    user = np.repeat(np.arange(len(histories)), np.diff(histories.start))
    order = np.argsort(histories.item, kind="stable")
    rows, begins = np.unique(histories.item[order], return_index=True)
    facts = np.stack([user[order], histories.time[order], histories.clicked[order]], axis=1).astype(np.int64)
    return {
        histories.items[row]: content_hash(part.tobytes(), content.get(histories.items[row], []))
        for row, part in zip(rows, np.split(facts, begins[1:]), strict=True)
    }


def _fit(
    context: dg.AssetExecutionContext,
    settings: Settings,
    histories: UserHistories,
    features: ItemFeatures,
    folder: Path,
) -> dict[str, object]:
    """Fit and save the model of every fold, and return the metadata of the fits."""
    audience, started, reports = settings.audience, time.monotonic(), []
    for fold in range(audience.folds):
        model = recommender_class(NAME).from_options(audience.options.get(NAME, {}))
        own = without_fold(histories, fold, audience.folds)
        progress = Progress(context.log, f"{NAME}: model {fold + 1}", model.options.epochs, unit="passes")
        with deterministic():
            report = model.fit(
                own,
                features,
                leave_one_out(own, test=False),
                seed=audience.seed,
                device=device_of(settings),
                progress=lambda epoch, progress=progress: progress.advance(),
            )
        progress.finish()
        model.save(folder / f"{MODEL}_{fold}")
        reports.append(report)
    return {
        "folds": audience.folds,
        "users": int((np.diff(histories.start) > 0).sum()),
        "exposures": len(histories.item),
        "best_epoch": [report.best_epoch for report in reports],
        f"validation_{reports[0].metric}": [report.best_dev for report in reports],
        "parameters": reports[0].parameters,
        "seconds": round(time.monotonic() - started, 2),
        "latest_exposure": int(histories.time.max()),
        "curve": [[epoch.number, epoch.loss, epoch.dev] for epoch in reports[0].epochs],
    }


def fold_of(items: Sequence[str], folds: int) -> np.ndarray:
    """Return the fold of each item, (n,) from 0 to folds - 1; it depends on the id alone."""
    return np.array([int(content_hash(item)[:12], 16) % folds for item in items], np.int64)


def without_fold(histories: UserHistories, fold: int, folds: int) -> UserHistories:
    """Return the exposures that the model of a fold is fitted to: all with one fold, else those of items in other folds."""
    if folds == 1:
        return histories
    return histories.only(fold_of(histories.items.tolist(), folds)[histories.item] != fold)


def _result(version: ArtifactVersion) -> dg.MaterializeResult:
    shown = {
        name: dg.MetadataValue.json(value) if isinstance(value, list) else value
        for name, value in version.metadata.items()
        if name != "curve"
    }
    if "curve" in version.metadata:
        shown["curve"] = fit_curve(version.metadata["curve"], label="loss, validation NDCG@10")
    return dg.MaterializeResult(data_version=version_of_artifacts(version), metadata=shown)


def fitted_sasrec(store: Store) -> tuple[ArtifactVersion, list[SASRec]] | None:
    """Return the version in service and the model of every fold; None if none could be fitted."""
    version = store.artifact(NAME).current()
    if version is None or "not_fitted_because" in version.metadata:
        return None
    models = [SASRec() for _ in range(version.metadata["folds"])]
    with version.reading() as folder:
        for fold, model in enumerate(models):
            model.load(folder / f"{MODEL}_{fold}")
    return version, models


@dg.asset_check(asset=sasrec, blocking=True)
@verdict_stands(
    "sasrec_is_fitted_on_training_items",
    reads=lambda store, settings: [*artifact_marks(store, NAME), *table_marks(store, "splits")],
)
def sasrec_is_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """SASRec was fitted on exposures of training items only (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    version = store.artifact(NAME).current() if NAME in settings.audience.train else None
    if version is None:
        return dg.AssetCheckResult(passed=True, metadata={"skipped": _off(settings)})
    with version.reading() as folder:
        return check_fitted(fitted_on(folder), read_splits(store))
