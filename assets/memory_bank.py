"""[memory] memory_bank: the training items' vectors and labels, built beside the bank in service and switched in one step."""

import time

import dagster as dg
import numpy as np
import polars as pl

from assets.bookkeeping import note_run
from assets.features import retrieval_keys, usable_items, versions
from assets.pools import IN_THE_CATALOG
from assets.popularity import read_popularity
from assets.retrieval_vectors import retrieval_vectors
from assets.settings import Settings
from assets.splits import items_of, read_splits
from assets.stages import open_store
from assets.temporal_embeddings import temporal_embeddings
from storage.artifact import ArtifactVersion
from storage.bank import MemoryBank, build
from storage.store import Store

NAME = "memory_bank"


@dg.asset(
    group_name="memory",
    kinds={"faiss"},
    deps=[retrieval_vectors, temporal_embeddings],
    description=__doc__,
    **IN_THE_CATALOG,
)
def memory_bank(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Build the bank of the training items; the version in service stays where nothing changed."""
    started = time.monotonic()
    store = open_store(settings)
    sides = usable_items(store).filter(pl.col("split") == "train")
    items = sides["item"].to_list()
    labels = sides.select("item").join(read_popularity(store), on="item", how="left", maintain_order="left")
    content, with_content, temporal, with_temporal = retrieval_keys(
        store, items, temporal_key=settings.retrieval.temporal_key
    )
    artifact = store.artifact(NAME)
    built = build(
        artifact,
        items=items,
        content=content,
        content_mask=with_content,
        temporal=temporal,
        temporal_mask=with_temporal,
        labels=labels["target"].to_numpy(),
        label_times=labels["label_time"].to_numpy() if settings.protocol.split == "chronological" else None,
        groups=sides["group"].to_numpy(),
        versions=versions(store),
        metadata={"temporal_key": settings.retrieval.temporal_key},
    )
    service = artifact.current()
    if service is not None and (service.inputs_hash, service.fingerprint) == (built.inputs_hash, built.fingerprint):
        artifact.remove(built.version)
        context.log.info("memory_bank: unchanged, version %d stays in service", service.version)
    else:
        artifact.activate(built.version)
        note_run(context, store, NAME, computed=len(items), seconds=time.monotonic() - started)
        context.log.info("memory_bank: version %d is in service, %d members", built.version, len(items))
    return dg.MaterializeResult(metadata=_metadata(artifact.current()))


def _metadata(version: ArtifactVersion) -> dict[str, dg.MetadataValue | int]:
    shown = {name: version.metadata[name] for name in ("members", "with_content", "with_temporal")}
    return {"version": version.version, **shown, "made_of": dg.MetadataValue.json(version.metadata["versions"])}


def open_bank(store: Store) -> MemoryBank:
    """The bank in service, refused where the store's features are of another version."""
    return MemoryBank.open(store.artifact(NAME), expect=versions(store))


@dg.asset_check(asset=memory_bank, blocking=True)
def bank_holds_training_items_only(settings: Settings) -> dg.AssetCheckResult:
    """No validation, test or unlabelled item is a member (design section 5, rule 3)."""
    store = open_store(settings)
    bank = open_bank(store)
    return check_members(bank.items, bank.labels, read_splits(store), read_popularity(store))


def check_members(
    items: np.ndarray, labels: np.ndarray, sides: pl.DataFrame, known: pl.DataFrame
) -> dg.AssetCheckResult:
    """Members outside the training split, and members whose label is not their own."""
    outside = sorted(set(items.tolist()) - set(items_of(sides, "train")))
    members = pl.DataFrame({"item": items, "label": labels}, schema={"item": pl.String, "label": pl.Float32})
    joined = members.join(known.select("item", "target"), on="item", how="left")
    wrong = joined.filter((pl.col("label") - pl.col("target")).abs().fill_null(1.0) > 1e-4)["item"].to_list()
    found = {name: items[:10] for name, items in {"not in training": outside, "wrong label": wrong}.items() if items}
    return dg.AssetCheckResult(
        passed=not found, metadata={"members": len(items), "problems": dg.MetadataValue.json(found)}
    )
