"""The memory bank: vectors and labels of the training items. A new version goes into service only if it passes its checks."""

import time
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg
import numpy as np
import polars as pl

from assets.embeddings.acoustic_embeddings import acoustic_embeddings
from assets.embeddings.retrieval_vectors import retrieval_vectors
from assets.embeddings.text_embeddings import text_embeddings
from assets.embeddings.visual_embeddings import visual_embeddings
from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_plan_is_empty, stop_if_planning
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.feedback.temporal_embeddings import temporal_embeddings
from assets.memory.bank_checks import CHECKS, MIXED, Verdict, judge
from assets.memory.feature_join import content_keys, fingerprints, sample_digests, usable_items, versions
from assets.memory.member_labels import MemberLabels
from assets.memory.temporal_keys import Ages, read_windows
from assets.protocol.labels import matrix, read_labels
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from storage.artifact import Artifact
from storage.artifact_version import ArtifactVersion
from storage.bank import MemoryBank, build
from storage.bank.gpu import Device, takes_gpu
from storage.durable import StoreError, exclusive, make_folder
from storage.hashing import content_hash
from storage.store import Store

NAME = "memory_bank"
CODE = 1  # raise it when the same inputs give another result
ACCEPTED, REFUSED = "accepted", "refused"


@dg.asset(
    group_name="memory",
    kinds={"faiss"},
    deps=[visual_embeddings, acoustic_embeddings, text_embeddings, retrieval_vectors, temporal_embeddings],
    check_specs=[dg.AssetCheckSpec(name, asset=NAME, description=text) for name, text in CHECKS.items()],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    "memory_bank",
    reads=lambda store, settings: [*stage_marks(store), *table_marks(store, "popularity", "labels", "splits")],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def memory_bank(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Build a new version of the bank, check it, and switch to it in one step if it passes.

    If a check fails, the version in service stays, the new version is stored as refused, and the run continues. While a
    version is pinned, new versions are stored but do not go into service.
    """
    store = open_store(settings)
    artifact, made_of = store.artifact(NAME), _made_of(store, settings)
    make_folder(artifact.folder)
    service, last = artifact.current(verify=True), _last_checked(artifact)
    is_lost = service is None and last is not None and last.metadata["status"] == ACCEPTED
    if last is not None and last.metadata["made_of"] == made_of and not is_lost:
        context.log.info("memory_bank: unchanged since version %d was checked", last.version)
        stop_if_plan_is_empty()
        note_run(context, store, NAME, computed=0, seconds=0.0)
        return _result(last, service)
    reason = "the version in service was lost" if is_lost else "its members, their vectors or its settings changed"
    stop_if_planning(reason="not built yet" if last is None else reason)
    takes_gpu(settings.bank.device, members=0)  # an error before the work
    with exclusive(artifact.folder / "building.lock", doing="building the memory bank"):
        started, known = time.monotonic(), {version.version for version in artifact.versions()}
        built = _build(store, settings, artifact)
        built = _check_and_switch(context, store, settings, built, made_of)
        artifact.prune(keep=settings.bank.keep)
        computed = 0 if built.version in known else built.metadata["members"]
        note_run(context, store, NAME, computed=computed, seconds=time.monotonic() - started)
    return _result(built, artifact.current())


def _last_checked(artifact: Artifact) -> ArtifactVersion | None:
    """Return the version checked last. This can be an old version, if the data are again as they were when it was built."""
    checked = [version for version in artifact.versions() if "made_of" in version.metadata]
    return max(checked, key=lambda version: (version.metadata.get("checked_at", ""), version.version), default=None)


def _made_of(store: Store, settings: Settings) -> str:
    """Return a hash of everything that a version depends on, without reading any vector."""
    return content_hash(
        sample_digests(store, *_member_splits(settings)),
        dict(usable_items(store).select("item", "group").iter_rows()),
        fingerprints(store),
        [
            settings.retrieval.model_dump(exclude={"similarity"}),
            settings.bank.model_dump(exclude={"keep", "device"} | ({"shards"} if settings.bank.shards == 1 else set())),
            settings.protocol.split,
            CODE,
        ],
        settings.protocol.ages,
    )


def _member_splits(settings: Settings) -> tuple[str, ...]:
    """Return the splits whose items are members; the audit of leaks can add the validation items."""
    return ("train", "val") if settings.audit.fault == "validation_in_bank" else ("train",)


def _build(store: Store, settings: Settings, artifact: Artifact) -> ArtifactVersion:
    sides = usable_items(store).filter(pl.col("split").is_in(_member_splits(settings)))
    items = sides["item"].to_list()
    labels = MemberLabels.of(store, items)
    content, with_content = content_keys(store, items)
    windows = read_windows(store, items, form=settings.retrieval.temporal_key)
    ages = Ages.of_members(windows, settings.protocol.ages)
    return build(
        artifact,
        items=items,
        content=content,
        content_mask=with_content,
        temporal=ages.member_keys(windows),
        temporal_mask=windows.heard[~windows.younger],
        labels=labels.value[:, 0],
        label_times=labels.first() if settings.protocol.split == "chronological" else None,
        groups=sides["group"].to_numpy(),
        versions={name: MIXED.join(prints) or "empty" for name, prints in fingerprints(store).items()},
        metadata={"temporal_key": settings.retrieval.temporal_key, "ages": asdict(ages)},
        index=settings.bank.index,
        size=settings.retrieval.neighbours,
        aim=settings.bank.recall,
        shards=settings.bank.shards,
    )


def _check_and_switch(
    context: dg.AssetExecutionContext,
    store: Store,
    settings: Settings,
    built: ArtifactVersion,
    made_of: str,
) -> ArtifactVersion:
    """Check a version, switch to it if it passes and no version is pinned, and record the verdicts in its metadata.

    The verdicts are recorded last, so that the next run repeats the checks if this run is killed before.
    """
    artifact = store.artifact(NAME)
    service = artifact.current()
    verdicts, measured = judge(store, settings, built, service)
    reasons = [f"{verdict.check}: {_measured(verdict)}" for verdict in verdicts if not verdict.passed]
    stays = "none is in service" if service is None else f"version {service.version} stays in service"
    if reasons:
        context.log.error("memory_bank: version %d is refused (%s); %s", built.version, "; ".join(reasons), stays)
    elif artifact.pinned() is not None:
        context.log.info("memory_bank: version %d passes but a version is pinned: %s", built.version, stays)
    else:
        artifact.activate(built.version)
        context.log.info("memory_bank: version %d is in service, %d members", built.version, built.metadata["members"])
    return artifact.annotate(
        built.version,
        {
            "made_of": made_of,
            "status": REFUSED if reasons else ACCEPTED,
            "reasons": reasons,
            "checks": [asdict(verdict) for verdict in verdicts],
            "measured": measured,
            "checked_at": datetime.now(UTC).isoformat(),
        },
    )


def _measured(verdict: Verdict) -> str:
    if verdict.value is None:
        return verdict.told
    return f"{verdict.value:.4g}, the limit is {verdict.limit:g} ({verdict.told})"


def _result(built: ArtifactVersion, service: ArtifactVersion | None) -> dg.MaterializeResult:
    verdicts = [Verdict(**verdict) for verdict in built.metadata["checks"]]
    return dg.MaterializeResult(
        data_version=version_of_artifacts(service),
        metadata=_metadata(built, service),
        check_results=[verdict.result() for verdict in verdicts],
    )


def _metadata(built: ArtifactVersion, service: ArtifactVersion | None) -> dict[str, dg.MetadataValue | int | str]:
    shown = {name: built.metadata[name] for name in ("members", "with_content", "with_temporal", "status")}
    if built.metadata["reasons"]:
        shown["reasons"] = dg.MetadataValue.json(built.metadata["reasons"])
    return {
        "version": built.version,
        "in_service": 0 if service is None else service.version,
        "index": built.metadata["measured"]["index"],
        "members_without_feedback": built.metadata["members"] - built.metadata["with_temporal"],
        **shown,
        **{check["check"]: check["value"] for check in built.metadata["checks"] if check["value"] is not None},
        "made_of": dg.MetadataValue.json(built.metadata["versions"]),
    }


def bank_in_service(store: Store) -> ArtifactVersion:
    """Return the version of the bank in service, without opening it.

    Raises:
        storage.durable.StoreError: No version is in service.
    """
    version = store.artifact(NAME).current()
    if version is None:
        raise StoreError(f"no memory bank is in service; build it (dagster asset materialize --select '{NAME}+')")
    return version


def open_bank(store: Store, *, device: Device = "auto") -> MemoryBank:
    """Open the bank in service, if the store's features have the versions that the bank was built from.

    Args:
        store: The store.
        device: `bank.device`, for a bank that is searched.

    Raises:
        storage.durable.StoreError: No version is in service. If one was refused, the message says why.
        storage.bank.BankVersionError: The store's features were computed by other encoders, or another process, than the
            bank's.
    """
    artifact = store.artifact(NAME)
    refused = [version for version in artifact.versions() if version.metadata.get("status") == REFUSED]
    if artifact.current() is None and refused:
        last = refused[-1]
        raise StoreError(
            f"no memory bank is in service: version {last.version} was refused ({'; '.join(last.metadata['reasons'])}). Change "
            f"the limits in [bank], or use this version anyway: `reelcast bank activate {last.version} --force`"
        )
    return MemoryBank.open(artifact, expect=versions(store), device=device)


@dg.asset_check(asset=memory_bank, blocking=True)
@verdict_stands(
    "bank_holds_training_items_only",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, "labels", "splits"),
        *artifact_marks(store, NAME),
    ],
)
def bank_holds_training_items_only(settings: Settings) -> dg.AssetCheckResult:
    """No validation, test or unlabelled item is a member of the bank (docs/protocol.md, rule Bank)."""
    store = open_store(settings)
    bank = open_bank(store)
    return check_members(bank.items, bank.labels, read_splits(store), read_labels(store))


def check_members(
    items: np.ndarray, labels: np.ndarray, sides: pl.DataFrame, known: pl.DataFrame
) -> dg.AssetCheckResult:
    """Check that every member is a training item and has its own label.

    Args:
        items: (m,) ids of the members.
        labels: (m,) their labels of the primary target on its scale, NaN where unknown.
        sides: The table `splits`.
        known: The table `labels`.
    """
    outside = sorted(set(items.tolist()) - set(items_of(sides, "train")))
    members = pl.DataFrame({"item": items}, schema={"item": pl.String})
    expected = matrix(known, members["item"], "value")[:, 0]
    wrong = members.filter(~np.isclose(labels, expected, rtol=0, atol=1e-4, equal_nan=True))["item"].to_list()
    problems = {name: items[:10] for name, items in {"not in training": outside, "wrong label": wrong}.items() if items}
    return dg.AssetCheckResult(
        passed=not problems, metadata={"members": len(items), "problems": dg.MetadataValue.json(problems)}
    )
