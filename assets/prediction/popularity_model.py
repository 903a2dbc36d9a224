"""M3TR, one model per seed, trained with the joint loss L_pred + gamma L_mhp (M3TR, section 3.4)."""

import json
from collections.abc import Iterator
from dataclasses import asdict

import dagster as dg

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
from assets.feedback.hawkes_process import check_fitted, fitted_process, load_encoder
from assets.memory.feature_join import sample_digests, usable_items, versions
from assets.memory.neighbours import neighbours
from assets.prediction.predictor_inputs import bank_of, samples_of
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from models import predictors
from models.determinism import deterministic
from models.predictors import M3TRConfig, TrainingOptions, TrainingReport
from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "popularity_model"
CODE = 3  # raise it when the same inputs give another result
MODEL = "model"


@dg.asset(
    group_name="prediction",
    kinds={"pytorch"},
    deps=[neighbours],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "popularity_model",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, "interactions", "popularity", "splits", "neighbours"),
        *artifact_marks(store, "hawkes_process", "memory_bank"),
    ],
    makes=lambda store, settings: artifact_marks(store, *model_names(settings)),
    when_skipped=lambda last: {**last, "trained_seeds": dg.MetadataValue.json([])},
)
def popularity_model(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Train one model per seed.

    A model stays in service while less than `model.refit_share` of the items it was fitted on has changed.
    """
    store = open_store(settings)
    digests, training = sample_digests(store, "train", "val"), set(items_of(usable_items(store), "train"))
    fingerprint = model_fingerprint(store, settings)
    todo: dict[int, str] = {}
    for seed in settings.model.seeds:
        service = artifact_of(store, seed).current(verify=True)
        todo[seed] = "not trained yet" if service is None else "its parameters or its features' versions changed"
        if service is not None and service.fingerprint == fingerprint.hash:
            with service.reading() as folder:
                change = changed_since(folder, digests, training)
            todo[seed] = str(change)
            if change.keeps(settings.model.refit_share):
                context.log.info("popularity_model: seed %d stays, %s", seed, change)
                del todo[seed]
    if todo:
        stop_if_planning(reason="; ".join(f"seed {seed}: {reason}" for seed, reason in todo.items()))
    for seed in todo:
        _train(context, store, settings, seed, digests, fingerprint)
    versions = [artifact_of(store, seed).current() for seed in settings.model.seeds]
    metadata: dict[str, object] = {"trained_seeds": dg.MetadataValue.json(list(todo))}
    for seed, version in zip(settings.model.seeds, versions, strict=True):
        metadata[f"seed_{seed}_dev_nmse"] = version.metadata["best_dev_nmse"]
        metadata[f"seed_{seed}_curve"] = fit_curve(version.metadata["curve"], label="loss, validation nMSE")
    return dg.MaterializeResult(data_version=version_of_artifacts(*versions), metadata=metadata)


def model_names(settings: Settings) -> list[str]:
    """Return the names of the artifacts that hold the seeds' models."""
    return [_name_of(seed) for seed in settings.model.seeds]


def _name_of(seed: int) -> str:
    return f"{NAME}_{seed}"


def artifact_of(store: Store, seed: int) -> Artifact:
    """Return the artifact that holds a seed's model."""
    return store.artifact(_name_of(seed))


def model_in_service(store: Store, seed: int) -> ArtifactVersion:
    """Return the version of a seed's model in service.

    Raises:
        storage.durable.StoreError: No model of the seed is in service.
    """
    version = artifact_of(store, seed).current()
    if version is None:
        raise StoreError(
            f"no model of seed {seed} is in service; train it (dagster asset materialize --select '{NAME}+')"
        )
    return version


def model_fingerprint(store: Store, settings: Settings) -> Fingerprint:
    """Return what determines a model besides its data and seed: its parameters and the versions of its features."""
    options = settings.model.model_dump(exclude={"seeds", "refit_share"})
    parameters = {**options, "neighbours": settings.retrieval.neighbours, "similarity": settings.similarity}
    return Fingerprint(code=CODE, parameters=parameters, model=versions(store))


def network_config(settings: Settings) -> M3TRConfig:
    """Return the network's hyper-parameters from the settings."""
    config = settings.model
    return M3TRConfig(
        width=config.dim,
        hidden=config.dim,
        alpha=config.alpha,
        dropout=config.dropout,
        neighbours=settings.retrieval.neighbours,
        aggregate=config.aggregate,
        **{name: value for name, value in config.model_dump().items() if name.startswith("use_")},
    )


def _train(
    context: dg.AssetExecutionContext,
    store: Store,
    settings: Settings,
    seed: int,
    digests: dict[str, str],
    fingerprint: Fingerprint,
) -> None:
    config, size = settings.model, settings.retrieval.neighbours
    bank = bank_of(store)
    train, dev = (
        samples_of(
            store, split, size=size, age="own" if config.whole_share == 1 else "all", whole_share=config.whole_share
        )
        for split in ("train", "val")
    )
    options = TrainingOptions(
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        weight_decay=config.weight_decay,
        gamma=config.gamma,
        epochs=config.max_epochs,
        patience=config.patience,
        penalty=None if settings.process.penalty == "none" else settings.process.penalty,
        penalty_strength=settings.process.penalty_strength,
    )
    progress = Progress(context.log, f"popularity_model: seed {seed}", config.max_epochs, unit="passes")
    with deterministic():
        model, report = predictors.train(
            train,
            dev,
            bank,
            config=network_config(settings),
            options=options,
            temporal_encoder=load_encoder(fitted_process(store)[0]),
            seed=seed,
            device=device_of(settings),
            progress=lambda epoch: progress.advance(),
        )
    metadata = {
        "seed": seed,
        "best_epoch": report.best_epoch,
        "best_dev_nmse": report.best_dev_nmse,
        "seconds": round(report.seconds, 2),
        "curve": list(_curve(report)),
        "options": asdict(options),
    }
    with artifact_of(store, seed).new(
        inputs_hash=content_hash(digests), fingerprint=fingerprint.hash, metadata=metadata
    ) as folder:
        predictors.save(model, folder / MODEL)
        keep_facts(folder, {name: sorted(set(train.items.tolist())) for name in ("model", "standardisers")}, digests)
    note_run(context, store, _name_of(seed), computed=len(set(train.items)), seconds=report.seconds)
    context.log.info(
        "popularity_model: seed %d, validation nMSE %.4f at pass %d, %.1f s",
        *(seed, report.best_dev_nmse, report.best_epoch, report.seconds),
    )


def load_model(store: Store, seed: int) -> predictors.M3TR:
    """Load a seed's model in service. A model that was trained with a process contains the process in service."""
    with model_in_service(store, seed).reading() as folder:
        joint = json.loads((folder / MODEL / "config.json").read_text())["process"]
        encoder = load_encoder(fitted_process(store)[0]) if joint else None
        return predictors.load(folder / MODEL, temporal_encoder=encoder)


def _curve(report: TrainingReport) -> Iterator[list[float | None]]:
    for epoch in report.epochs:
        yield [epoch.epoch, epoch.prediction_loss, epoch.dev_nmse]


@dg.asset_check(asset=popularity_model, blocking=True)
@verdict_stands(
    "model_is_fitted_on_training_items",
    reads=lambda store, settings: [*artifact_marks(store, *model_names(settings)), *table_marks(store, "splits")],
)
def model_is_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """Every model and its standardisers were fitted on training items only (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    fitted: dict[str, list[str]] = {}
    for seed in settings.model.seeds:
        with model_in_service(store, seed).reading() as folder:
            fitted |= {f"seed {seed} {name}": items for name, items in fitted_on(folder).items()}
    return check_fitted(fitted, read_splits(store))
