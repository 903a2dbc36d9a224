"""[memory] neighbours: the S most similar bank members of every item, with all that their score is made of (M3TR eq. 3)."""

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import made_table
from assets.engine.store_access import frame_hash, open_store
from assets.feedback import temporal_embeddings
from assets.memory import memory_bank as bank_in_service
from assets.memory.feature_join import retrieval_keys, sample_digests, usable_items
from assets.memory.memory_bank import memory_bank, open_bank
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of, read_splits
from assets.settings import Settings
from storage.artifact import ArtifactVersion
from storage.bank import MemoryBank, Neighbours
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "neighbours"
CODE = 1  # raise it when the same inputs give another result


@dg.asset(
    group_name="memory",
    kinds={"parquet"},
    deps=[memory_bank],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
def neighbours(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Search the bank for every item: never itself, nor a duplicate, nor a label that was not known in time."""
    store = open_store(settings)
    sides, bank = usable_items(store), store.artifact(bank_in_service.NAME).current()
    frame = made_table(
        context,
        store,
        NAME,
        inputs_hash=_made_of(store, sides, bank, settings),
        fingerprint=Fingerprint(code=CODE, parameters={"neighbours": settings.retrieval.neighbours}),
        compute=lambda: _search(store, sides, settings),
    )
    stop_if_plan_is_empty()
    by_mode = dict(frame.group_by("mode").agg(pl.col("item").n_unique()).iter_rows())
    if alone := len(sides) - frame["item"].n_unique():
        by_mode["none"] = alone
    reasons = _reasons(store, frame.filter(pl.col("mode") == "content")["item"].unique().to_list())
    for reason, count in reasons.items():
        context.log.info("neighbours: %d items are retrieved by content alone: %s", count, reason)
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            "items": len(sides),
            "rows": len(frame),
            "bank_version": 0 if bank is None else bank.version,
            "modes": dg.MetadataValue.json(by_mode),
            "content_alone_because": dg.MetadataValue.json(reasons),
        },
    )


def _made_of(store: Store, sides: pl.DataFrame, bank: ArtifactVersion | None, settings: Settings) -> str:
    """Hash of what the neighbours depend on: the bank in service, every item's vectors, and who may see whom."""
    times = read_popularity(store).select("item", "t0") if settings.protocol.split == "chronological" else sides
    return content_hash(
        [] if bank is None else [bank.version, bank.inputs_hash, bank.fingerprint],
        sample_digests(store, "train", "val", "test", "predict"),
        [frame_hash(sides), frame_hash(times)],
    )


def _reasons(store: Store, fallen: list[str]) -> dict[str, int]:
    """Why items fell back to content alone, and how many (M3TR appendix H.3)."""
    states = store.stages()[temporal_embeddings.NAME].states().filter(pl.col("item").is_in(fallen))
    failed = states.filter(pl.col("status") == "failed")["error_type"].value_counts(sort=True)
    reasons = {f"the process failed ({kind})": count for kind, count in failed.iter_rows()}
    silent = len(states.filter(pl.col("status") == "missing"))
    if silent:
        reasons["no feedback in the observation window"] = silent
    others = len(fallen) - sum(reasons.values())
    if others:
        reasons["no member that may be found has feedback"] = others
    return reasons


def _search(store: Store, sides: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    bank = open_bank(store)
    items = sides["item"].to_list()
    content, with_content, temporal, with_temporal = retrieval_keys(
        store, items, temporal_key=bank.version.metadata["temporal_key"]
    )
    times = None
    if settings.protocol.split == "chronological":
        clocks = sides.select("item").join(
            read_popularity(store).select("item", "t0"), on="item", how="left", maintain_order="left"
        )
        # an upload without any clock is asked about now, when every label of the bank is known
        times = clocks["t0"].fill_null(np.iinfo(np.int64).max).to_numpy()
    found = bank.search(
        content,
        temporal,
        size=settings.retrieval.neighbours,
        query_items=items,
        query_groups=sides["group"].to_numpy(),
        query_times=times,
        content_mask=with_content,
        temporal_mask=with_temporal,
    )
    return _frame(items, found, bank)


def _frame(items: list[str], found: Neighbours, bank: MemoryBank) -> pl.DataFrame:
    query, rank = np.nonzero(found.mask)
    member = found.index[query, rank]
    return pl.DataFrame(
        {
            "item": np.asarray(items, dtype=object)[query],
            "rank": rank.astype(np.int32),
            "neighbour": bank.items[member],
            "label": bank.labels[member],
            "score": found.score[query, rank],
            "ss_modal": found.ss_modal[query, rank],
            "ss_temp": found.ss_temp[query, rank],
            "modal_min": found.modal_min[query],
            "modal_max": found.modal_max[query],
            "temp_min": found.temp_min[query],
            "temp_max": found.temp_max[query],
            "mode": found.mode[query],
            "bank_version": np.full(len(query), bank.version.version, dtype=np.int32),
        },
        schema_overrides={"item": pl.String, "neighbour": pl.String, "mode": pl.String},
    )


def read_neighbours(store: Store) -> pl.DataFrame:
    """One row an item and rank (from 0); an item without an eligible neighbour has none."""
    return store.table(NAME).read()


@dg.asset_check(asset=neighbours, blocking=True)
def no_neighbour_leaks_a_label(settings: Settings) -> dg.AssetCheckResult:
    """Neighbours are training items, never the item itself nor its duplicate, and their labels were known in time."""
    store = open_store(settings)
    return check_neighbours(read_neighbours(store), read_splits(store), read_popularity(store), settings.protocol.split)


def check_neighbours(frame: pl.DataFrame, sides: pl.DataFrame, labels: pl.DataFrame, split: str) -> dg.AssetCheckResult:
    """Design section 5, rule 3, pair by pair."""
    group = dict(sides.select("item", "group").iter_rows())
    pairs = frame.select("item", "neighbour").with_columns(
        pl.col("item").replace_strict(group, default=None).alias("group"),
        pl.col("neighbour").replace_strict(group, default=None).alias("neighbour_group"),
    )
    problems = {
        "itself": pairs.filter(pl.col("item") == pl.col("neighbour")),
        "duplicate": pairs.filter(pl.col("group") == pl.col("neighbour_group")),
        "not in training": pairs.filter(~pl.col("neighbour").is_in(items_of(sides, "train"))),
    }
    if split == "chronological":
        clocks = labels.select("item", "t0", "label_time")
        timed = pairs.join(clocks, on="item", how="left").join(
            clocks.select("item", pl.col("label_time").alias("known_at")),
            left_on="neighbour",
            right_on="item",
            how="left",
        )
        problems["label not known in time"] = timed.filter(pl.col("known_at") > pl.col("t0"))
    found = {name: leaks.select("item", "neighbour").head(5).rows() for name, leaks in problems.items() if len(leaks)}
    return dg.AssetCheckResult(
        passed=not found, metadata={"pairs": len(pairs), "problems": dg.MetadataValue.json(found)}
    )
