"""[feedback] hawkes_process: the Mamba-Hawkes process, fitted on the training items' observed windows (M3TR section 3.2)."""

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
from assets.ingest.interactions import read_events
from assets.protocol.popularity import popularity, read_popularity
from assets.protocol.process_inputs import Sequences, observed_sequences, vocabulary
from assets.protocol.splits import items_of, read_splits, splits
from assets.settings import Settings
from models import temporal
from models.determinism import deterministic
from models.goodness import time_rescaling
from models.hawkes import FitReport, MambaHawkesProcess, fit
from models.hawkes.influence import draw, influence_graph
from models.pictures import draw_qq
from models.temporal import TemporalEncoder
from storage.artifact_version import ArtifactVersion
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "hawkes_process"
CODE = 4  # raise it when the same inputs give another result
ENCODER = "encoder"
COMPLETED_AT_ONCE = 128


class NoFeedback(RuntimeError):
    """The training items have no event in their observation windows, or no time: there is nothing to fit a process to."""


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
    reads=lambda store, settings: table_marks(store, "interactions", "popularity", "splits"),
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def hawkes_process(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Fit by maximum likelihood with early stopping on the validation items, then fit the embeddings' standardiser.

    The process in service stays while less than `process.refit_share` of what it was fitted on has changed.
    """
    store, chosen = open_store(settings), settings.process
    train, dev, types = _windows(store, settings, read_splits(store))
    artifact = store.artifact(NAME)
    fingerprint = Fingerprint(code=CODE, parameters=chosen.model_dump(exclude={"refit_share", "younger"}))
    digests = {item: digest for part in (train, dev) for item, digest in part.digests().items()}
    inputs_hash = content_hash(digests, types)
    service = artifact.current(verify=True)
    reason = "not fitted yet" if service is None else "its parameters changed"
    if service is not None and service.fingerprint == fingerprint.hash:
        with service.reading() as folder:
            change, fitted = changed_since(folder, digests, set(train.items)), fitted_on(folder)
        reason = str(change)
        if change.keeps(chosen.refit_share) and fitted["types"] == types:
            context.log.info("hawkes_process: version %d stays, %s", service.version, reason)
            return _result(service, changed_since_fit=change.items)
    stop_if_planning(reason=reason)
    process, report = _fit(context, settings, train, dev, len(types))
    encoder = TemporalEncoder(process, length=chosen.length)
    encoder.fit_standardiser(
        encoder.complete(part.batch(), seeds=item_seeds(part.items, chosen.seed), **part.observation())
        for part in train.blocks(COMPLETED_AT_ONCE)
    )
    goodness = time_rescaling(process, dev.batch())
    metadata = {
        "types": types,
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
    with artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint.hash, metadata=metadata) as folder:
        temporal.save(encoder, folder / ENCODER)
        fitted = {"types": types, "process": train.items, "standardiser": train.items}
        keep_facts(folder, fitted, digests)
    note_run(context, store, NAME, computed=len(train.items), seconds=report.seconds)
    return _result(artifact.current(), changed_since_fit=0)


def _windows(store: Store, settings: Settings, sides: pl.DataFrame) -> tuple[Sequences, Sequences, list[str]]:
    events, windows = read_events(store), read_popularity(store)
    training = items_of(sides, "train")
    types = vocabulary(events, windows, settings.protocol, training)
    if not types:
        raise NoFeedback("no training item has feedback in its observation window; see [protocol] hours and first_k")
    train, dev = (
        observed_sequences(
            events, windows, settings.protocol, items=items, types=types, max_events=settings.process.max_events
        )
        for items in (training, items_of(sides, "val"))
    )
    if not (train.t_end > 0).any():
        raise NoFeedback(
            "every training item's observation window ends at t = 0, with its first event: there is no time between events; "
            "see [protocol] hours and first_k"
        )
    return train, dev, types


def _fit(
    context: dg.AssetExecutionContext, settings: Settings, train: Sequences, dev: Sequences, num_types: int
) -> tuple[MambaHawkesProcess, FitReport]:
    chosen = settings.process
    torch.manual_seed(chosen.seed)
    process = MambaHawkesProcess(
        num_types,
        intensity=chosen.intensity,
        hidden=chosen.hidden,
        state=chosen.state,
        layers=chosen.layers,
        decays=chosen.decays,
        input_rule=chosen.input_rule,
    )
    batch = train.batch()
    context.log.info("hawkes_process: %d sequences, %d events, %d types", len(train.items), batch.num_events, num_types)
    progress = Progress(context.log, "hawkes_process", chosen.max_epochs + 1, unit="passes")  # and the start
    with deterministic(), warnings.catch_warnings(record=True) as caught:
        report = fit(
            process,
            batch,
            # a validation split without any feedback cannot stop the fit: the training items then do
            dev.batch() if any(map(len, dev.hours)) else batch,
            penalty=None if chosen.penalty == "none" else chosen.penalty,
            strength=None if chosen.penalty == "none" else chosen.penalty_strength,
            epochs=chosen.max_epochs,
            batch_size=chosen.batch_size,
            learning_rate=chosen.learning_rate,
            patience=chosen.patience,
            seed=chosen.seed,
            progress=lambda epoch: progress.advance(),
        )
    for warning in caught:
        context.log.warning("hawkes_process: %s", warning.message)
    progress.finish()
    return process, report


def item_seeds(items: Sequence[str], seed: int) -> list[int]:
    """One seed an item, from its id: its simulated events depend on no batch and no worker."""
    return [int.from_bytes(hashlib.sha256(f"{seed}:{item}".encode()).digest()[:7], "big") for item in items]


def _result(version: ArtifactVersion, *, changed_since_fit: int) -> dg.MaterializeResult:
    shown = {name: value for name, value in version.metadata.items() if name not in ("curve", "types", "quantiles")}
    curve = version.metadata["curve"]
    return dg.MaterializeResult(
        data_version=version_of_artifacts(version),
        metadata={
            **shown,
            "version": version.version,
            "changed_since_fit": changed_since_fit,
            "types": dg.MetadataValue.json(version.metadata["types"]),
            "curve": fit_curve(curve, label="log-likelihood per event (nats)"),
            **_quantiles(version),
            **_influence(version),
        },
    )


def _quantiles(version: ArtifactVersion) -> dict[str, dg.MetadataValue]:
    """How well the process fits the validation items, as a Q-Q plot; nothing where they have no feedback."""
    quantiles = version.metadata["quantiles"]
    return {"dev_quantiles": picture(draw_qq(*quantiles, title="validation items"))} if quantiles else {}


def _influence(version: ArtifactVersion) -> dict[str, dg.MetadataValue]:
    """Who excites whom, as a picture (m3tr; the mufm intensity has no influence matrix)."""
    process = load_encoder(version).process
    if process.excitation is None:
        return {}
    return {"influence": picture(draw(influence_graph(process, names=version.metadata["types"])))}


def fitted_process(store: Store) -> tuple[ArtifactVersion, dict[str, list[str]]]:
    """The process in service: its version, and what it was fitted on.

    Raises:
        storage.durable.StoreError: there is none, or it is damaged.
    """
    version = store.artifact(NAME).current()
    if version is None:
        raise StoreError(f"no fitted process is in service; fit one (dagster asset materialize --select '{NAME}+')")
    with version.reading() as folder:
        return version, fitted_on(folder)


def load_encoder(version: ArtifactVersion) -> TemporalEncoder:
    """The temporal encoder of a version of the process.

    Raises:
        storage.damage.DamageError: the version is damaged; it was set aside, and the next run fits it again.
    """
    with version.reading() as folder:
        return temporal.load(folder / ENCODER)


@dg.asset_check(asset=hawkes_process, blocking=True)
@verdict_stands(
    "process_is_fitted_on_training_items",
    reads=lambda store, settings: [*artifact_marks(store, NAME), *table_marks(store, "splits")],
)
def process_is_fitted_on_training_items(settings: Settings) -> dg.AssetCheckResult:
    """The process, its vocabulary and its standardiser saw training items only (design section 5, rule 5)."""
    store = open_store(settings)
    return check_fitted(fitted_process(store)[1], read_splits(store))


def check_fitted(fitted: dict[str, list[str]], sides: pl.DataFrame) -> dg.AssetCheckResult:
    """Whether each list of items that something was fitted on lies inside the training split."""
    training = set(items_of(sides, "train"))
    leaks = {name: sorted(set(items) - training)[:10] for name, items in fitted.items() if name != "types"}
    leaks = {name: items for name, items in leaks.items() if items}
    return dg.AssetCheckResult(passed=not leaks, metadata={"outside_training": dg.MetadataValue.json(leaks)})
