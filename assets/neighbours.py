"""[memory] neighbours: the S most similar bank members of every item, with all that their score is made of (M3TR eq. 3)."""

import dagster as dg
import numpy as np
import polars as pl

from assets import temporal_embeddings
from assets.bookkeeping import keep_table
from assets.features import retrieval_keys, usable_items
from assets.memory_bank import memory_bank, open_bank
from assets.popularity import read_popularity
from assets.settings import Settings
from assets.splits import items_of, read_splits
from assets.stages import open_store
from storage.bank import MemoryBank, Neighbours
from storage.fingerprint import Fingerprint
from storage.store import Store

NAME = "neighbours"


@dg.asset(group_name="memory", kinds={"parquet"}, deps=[memory_bank], description=__doc__)
def neighbours(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Search the bank for every item: never itself, nor a duplicate, nor a label that was not known in time."""
    store = open_store(settings)
    bank, sides = open_bank(store), usable_items(store)
    found = _search(store, bank, sides, settings)
    frame = _frame(sides["item"].to_list(), found, bank)
    fingerprint = Fingerprint(code=1, parameters={"neighbours": settings.retrieval.neighbours})
    keep_table(context, store, NAME, frame, fingerprint)
    by_mode, reasons = _modes(found), _reasons(store, sides["item"].to_list(), found)
    for reason, count in reasons.items():
        context.log.info("neighbours: %d items are retrieved by content alone: %s", count, reason)
    return dg.MaterializeResult(
        metadata={
            "items": len(sides),
            "rows": len(frame),
            "bank_version": bank.version.version,
            "modes": dg.MetadataValue.json(by_mode),
            "content_alone_because": dg.MetadataValue.json(reasons),
        }
    )


def _modes(found: Neighbours) -> dict[str, int]:
    """How many items are retrieved by what."""
    modes, counts = np.unique(found.mode, return_counts=True)
    return {str(mode): int(count) for mode, count in zip(modes, counts, strict=True)}


def _reasons(store: Store, items: list[str], found: Neighbours) -> dict[str, int]:
    """Why items fell back to content alone, and how many (M3TR appendix H.3)."""
    fallen = np.array(items, dtype=object)[found.mode == "content"].tolist()
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


def _search(store: Store, bank: MemoryBank, sides: pl.DataFrame, settings: Settings) -> Neighbours:
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
    return bank.search(
        content,
        temporal,
        size=settings.retrieval.neighbours,
        query_items=items,
        query_groups=sides["group"].to_numpy(),
        query_times=times,
        content_mask=with_content,
        temporal_mask=with_temporal,
    )


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
