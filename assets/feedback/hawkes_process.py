"""The Mamba-Hawkes process, fitted on the training items' observed windows (M3TR, section 3.2)."""

import hashlib
import warnings
from collections.abc import Sequence

import dagster as dg
import polars as pl
import torch

from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.plots import fit_curve, picture
from assets.engine.pools import ON_THE_DEVICE
from assets.engine.progress import Progress
from assets.engine.refit_policy import changed_since, fitted_on, keep_facts
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.feedback.process_of_another_store import OtherProcess, open_process, process_marks
from assets.ingest.interactions import read_events
from assets.protocol.fitted_on_training import check_fitted
from assets.protocol.popularity import popularity, read_popularity
from assets.protocol.process_inputs import Sequences, observed_sequences, vocabulary
from assets.protocol.splits import items_of, read_splits, splits
from assets.settings import Process, Settings
from models import temporal
from models.determinism import deterministic
from models.goodness import time_rescaling
from models.hawkes import (
    FitReport,
    MambaHawkesProcess,
    NeuralHawkesProcess,
    PoissonProcess,
    RawEvents,
    RowSource,
    fit,
)
from models.hawkes.influence import draw, influence_graph
from models.pictures import draw_qq
from models.temporal import TemporalEncoder
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "hawkes_process"
CODE = 7  # raise it when the same inputs give another result
ENCODER = "encoder"
COMPLETED_AT_ONCE = 128


@dg.asset(
    group_name="feedback",
    kinds={"pytorch"},
    deps=[popularity, splits],
    description=__doc__,
    code_version=str(CODE),
    **ON_THE_DEVICE,
)
@skip_unchanged(
    "hawkes_process",
    reads=lambda store, settings: [
        *table_marks(store, "interactions", "popularity", "splits"),
        *process_marks(settings.process.from_store, name=NAME),
    ],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def hawkes_process(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Fit the process by maximum likelihood with early stopping on the validation items, then the embeddings' standardiser.

    The process in service stays while less than `process.refit_share` of the items it was fitted on has changed. If nothing can
    be fitted, the new version holds no process and says why.
    """
    store, config = open_store(settings), settings.process
    train, dev, types, obstacle, other = fitted_windows(store, settings, read_splits(store))
    if obstacle is not None:
        context.log.info("hawkes_process: no process is fitted, and no item has temporal rows: %s", obstacle)
    artifact = store.artifact(NAME)
    parameters = config.model_dump(exclude={"refit_share", "younger", "from_store"})
    if other is not None:
        parameters["from_store"] = [other.version.inputs_hash, other.version.fingerprint]
    fingerprint = Fingerprint(code=CODE, parameters=parameters)
    digests = {item: digest for part in (train, dev) for item, digest in part.digests().items()}
    inputs_hash = content_hash(digests, types)
    service = artifact.current(verify=True)
    reason = "not fitted yet" if service is None else "its parameters changed"
    if service is not None and service.fingerprint == fingerprint.hash:
        with service.reading() as folder:
            change, fitted = changed_since(folder, digests, set(train.items)), fitted_on(folder)
        reason = str(change)
        if change.keeps(config.refit_share) and fitted["types"] == types:
            context.log.info("hawkes_process: version %d stays, %s", service.version, reason)
            return _result(service, changed_since_fit=change.items)
    stop_if_planning(reason=reason)
    if obstacle is None:
        encoder, metadata = _fit_encoder(context, settings, train, dev, types, other)
        fitted = dict.fromkeys(("process", "standardiser") if other is None else ("standardiser",), train.items)
    else:
        encoder, metadata, fitted = None, {"not_fitted_because": obstacle}, {}
    metadata["types"] = types
    with artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint.hash, metadata=metadata) as folder:
        if encoder is not None:
            temporal.save(encoder, folder / ENCODER)
        keep_facts(folder, {"types": types, **fitted}, digests)
    note_run(context, store, NAME, computed=len(fitted.get("standardiser", [])), seconds=metadata.get("seconds", 0.0))
    return _result(artifact.current(), changed_since_fit=0)


def fitted_windows(
    store: Store, settings: Settings, sides: pl.DataFrame
) -> tuple[Sequences, Sequences, list[str], str | None, OtherProcess | None]:
    """Return the windows of training and validation items, the vocabulary, and why no process can be fitted, if that is so.

    Without a process the vocabulary is empty. With `process.from_store`, the vocabulary is that store's, and its process comes
    last.
    """
    events, windows, protocol = read_events(store), read_popularity(store), settings.protocol
    training = items_of(sides, "train")

    def sequences(items: Sequence[str], types: Sequence[str]) -> Sequences:
        return observed_sequences(
            events, windows, protocol, items=items, types=types, max_events=settings.process.max_events
        )

    types, obstacle, other = vocabulary(events, windows, protocol, training), None, None
    if (root := settings.process.from_store) is not None:
        other = open_process(root, types, name=NAME, folder=ENCODER)
        types = other.types if types else []
    train = sequences(training, types)
    if protocol.forecasts_at_publication:
        obstacle = "protocol.hours = 0, so no feedback is observed"
    elif not types:
        obstacle = "no training item has feedback in its observation window"
    elif not (train.t_end > 0).any():
        obstacle = "every training item's observation window ends at t = 0, so there is no time between events"
    if obstacle is not None:
        types, train = [], sequences(training, [])
    return train, sequences(items_of(sides, "val"), types), types, obstacle, other


def _fit_encoder(
    context: dg.AssetExecutionContext,
    settings: Settings,
    train: Sequences,
    dev: Sequences,
    types: list[str],
    other: OtherProcess | None,
) -> tuple[TemporalEncoder, dict[str, object]]:
    """Return the encoder with its fitted process, and the metadata of the fit, which is empty where nothing is fitted."""
    config = settings.process
    torch.manual_seed(config.seed)
    process = new_process(config, len(types)) if other is None else other.load().process
    report = _fit(context, settings, process, train, dev) if process.simulates and other is None else None
    encoder = TemporalEncoder(process, length=config.length, channels=config.channels, history=config.history)
    encoder.fit_standardiser(
        encoder.complete(part.batch(), seeds=item_seeds(part.items, config.seed), **part.observation())
        for part in train.blocks(COMPLETED_AT_ONCE)
    )
    if report is None:
        return encoder, {} if other is None else {"from_store": str(config.from_store), "dropped_events": train.dropped}
    goodness = time_rescaling(process, dev.batch())
    return encoder, {
        "dev_ks_statistic": goodness.statistic,
        "dev_ks_p_value": goodness.p_value,
        "train_log_likelihood_per_event": report.best.train,
        "dev_log_likelihood_per_event": report.best.dev,
        "expected_events_per_event": report.events_ratio,
        "best_epoch": report.best_epoch,
        "branching_ratio": report.branching_ratio,
        "seconds": round(report.seconds, 2),
        "dropped_events": train.dropped,
        "quantiles": [part.tolist() for part in goodness.qq()] if dev.batch().num_events else None,
        "curve": [[epoch.index, epoch.train, epoch.dev] for epoch in report.curve],
    }


def new_process(config: Process, num_types: int) -> RowSource:
    """Return the process that the settings name, not fitted yet.

    Args:
        config: Section `[process]` of the settings.
        num_types: Number of event types.
    """
    if config.intensity == "neural":
        return NeuralHawkesProcess(num_types, hidden=config.hidden)
    if config.intensity == "poisson":
        return PoissonProcess(num_types)
    if config.intensity == "padded":
        return RawEvents(num_types)
    return MambaHawkesProcess(
        num_types,
        intensity=config.intensity,
        hidden=config.hidden,
        state=config.state,
        layers=config.layers,
        decays=config.decays,
        input_rule=config.input_rule,
        shared_decays=config.shared_decays,
        softness=config.softness,
        learn_softness=config.learn_softness,
        log_gaps=config.log_gaps,
    )


def _fit(
    context: dg.AssetExecutionContext, settings: Settings, process: RowSource, train: Sequences, dev: Sequences
) -> FitReport:
    config = settings.process
    batch = train.batch()
    context.log.info(
        "hawkes_process: %d sequences, %d events, %d types", len(train.items), batch.num_events, process.num_types
    )
    passes = config.max_epochs + 1  # one more for the initial state
    progress = Progress(context.log, "hawkes_process", passes, unit="passes")
    with deterministic(), warnings.catch_warnings(record=True) as caught:
        report = fit(
            process,
            batch,
            # without any feedback in the validation split, the training items decide when the fit stops
            dev.batch() if any(map(len, dev.hours)) else batch,
            penalty=None if config.penalty == "none" else config.penalty,
            strength=None if config.penalty == "none" else config.penalty_strength,
            epochs=config.max_epochs,
            batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            patience=config.patience,
            seed=config.seed,
            progress=lambda epoch: progress.advance(),
        )
    for warning in caught:
        context.log.warning("hawkes_process: %s", warning.message)
    progress.finish()
    return report


def item_seeds(items: Sequence[str], seed: int) -> list[int]:
    """Return one seed per item, from its id, so that simulated events do not depend on the batch or the worker.

    Args:
        items: Ids, or any other names.
        seed: Seed that all of them share.

    Example:
        >>> item_seeds(["a"], seed=0) == item_seeds(["b", "a"], seed=0)[1:]
        True
    """
    return [int.from_bytes(hashlib.sha256(f"{seed}:{item}".encode()).digest()[:7], "big") for item in items]


def _result(version: ArtifactVersion, *, changed_since_fit: int) -> dg.MaterializeResult:
    shown = {name: value for name, value in version.metadata.items() if name not in ("curve", "types", "quantiles")}
    return dg.MaterializeResult(
        data_version=version_of_artifacts(version),
        metadata={
            **shown,
            "version": version.version,
            "changed_since_fit": changed_since_fit,
            "types": dg.MetadataValue.json(version.metadata["types"]),
            **_pictures(version),
        },
    )


def _pictures(version: ArtifactVersion) -> dict[str, dg.MetadataValue]:
    """Return the fit's curve, a Q-Q plot if validation items have feedback, and which types excite which if m3tr was fitted."""
    encoder = load_encoder(version)
    if encoder is None or not encoder.process.simulates:
        return {}
    pictures = {}
    if curve := version.metadata.get("curve"):
        pictures["curve"] = fit_curve(curve, label="log-likelihood per event (nats)")
    if quantiles := version.metadata.get("quantiles"):
        pictures["dev_quantiles"] = picture(draw_qq(*quantiles, title="validation items"))
    if encoder.process.excitation is not None:  # only m3tr has an influence matrix
        graph = influence_graph(encoder.process, names=version.metadata["types"])
        pictures["influence"] = picture(draw(graph))
    return pictures


def fitted_process(store: Store) -> tuple[ArtifactVersion, dict[str, list[str]]]:
    """Return the version of the process in service, and what it was fitted on by name (`types`: the vocabulary).

    The version holds no process, and its vocabulary is empty, if none could be fitted.

    Args:
        store: The store.

    Raises:
        storage.durable.StoreError: No version is in service, or it is damaged.
    """
    version = store.artifact(NAME).current()
    if version is None:
        raise StoreError(f"no fitted process is in service; fit one (dagster asset materialize --select '{NAME}+')")
    with version.reading() as folder:
        return version, fitted_on(folder)


def load_encoder(version: ArtifactVersion) -> TemporalEncoder | None:
    """Load the temporal encoder of a version of the process; None if no process could be fitted.

    Args:
        version: The version, from `fitted_process`.

    Raises:
        storage.damage.DamageError: The version is damaged. It was set aside, and the next run fits the process again.
    """
    if not version.metadata["types"]:
        return None
    with version.reading() as folder:
        return temporal.load(folder / ENCODER)


@dg.asset_check(asset=hawkes_process, blocking=True)
@verdict_stands(
    "process_is_fitted_on_training_items",
    reads=lambda store, settings: [*artifact_marks(store, NAME), *table_marks(store, "splits")],
)
def process_is_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """The process, its vocabulary and its standardiser were fitted on training items only (docs/protocol.md, rule Fits)."""
    store = open_store(settings)
    return check_fitted(fitted_process(store)[1], read_splits(store))
