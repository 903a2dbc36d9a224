"""The S most similar bank members of every observed window, with the parts of their score (M3TR, eq. 3)."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.dry_run import stop_if_plan_is_empty
from assets.engine.nothing_to_show import NothingToShow
from assets.engine.plots import picture
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import made_table
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import frame_hash, open_store
from assets.feedback import temporal_embeddings
from assets.memory import memory_bank as bank_in_service
from assets.memory.feature_join import content_keys, sample_digests, usable_items
from assets.memory.member_labels import MemberLabels
from assets.memory.memory_bank import memory_bank, open_bank
from assets.memory.shard_map import shard_map
from assets.memory.temporal_keys import Ages, Windows, read_windows
from assets.protocol.labels import names_of, observable_at, read_labels
from assets.protocol.popularity import read_popularity
from assets.protocol.splits import items_of, read_splits
from assets.settings import Protocol, Settings
from storage.artifact_version import ArtifactVersion
from storage.bank import MemoryBank, Neighbours, search_again
from storage.bank.neighbours import Queries
from storage.durable import StoreError
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "neighbours"
CODE = 3  # raise it when the same inputs give another result
ANSWERS = "neighbour_answers"  # every query's answer; the next search repeats only those that can change


@dg.asset(
    group_name="memory",
    kinds={"parquet"},
    deps=[memory_bank],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    "neighbours",
    reads=lambda store, settings: [
        *stage_marks(store),
        *table_marks(store, "popularity", "labels", "splits"),
        *artifact_marks(store, "memory_bank"),
    ],
    makes=lambda store, settings: [*table_marks(store, NAME), *artifact_marks(store, ANSWERS)],
    shows=lambda store, settings: _gallery(store, settings),
)
def neighbours(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Search the bank for every item, without itself, its duplicates, and labels that were not known in time.

    Labelled items also search with their younger windows: a training item with the windows that it is trained on, a
    validation or test item with the windows that it is scored on.
    """
    store = open_store(settings)
    sides, bank = usable_items(store), store.artifact(bank_in_service.NAME).current()
    frame = made_table(
        context,
        store,
        NAME,
        inputs_hash=_made_of(store, sides, bank, settings),
        fingerprint=Fingerprint(
            code=CODE, parameters={"neighbours": settings.retrieval.neighbours, "similarity": settings.similarity}
        ),
        compute=lambda: _search(store, sides, settings),
    )
    stop_if_plan_is_empty()
    own = frame.filter(~pl.col("younger"))
    by_mode = dict(own.group_by("mode").agg(pl.col("item").n_unique()).iter_rows())
    if without := len(sides) - own["item"].n_unique():
        by_mode["none"] = without
    by_content = own.filter(pl.col("mode") == "content")["item"].unique().to_list()
    reasons = {} if settings.similarity == "content" else _reasons(store, by_content)
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


def _gallery(store: Store, settings: Settings) -> dict[str, dg.MetadataValue]:
    """Return a test video with the videos retrieved for it, as a picture; nothing if there is no such video."""
    from assets.memory.retrieval_figure import retrieval_figure  # which reads this stage

    try:
        return {"retrieval_gallery": picture(retrieval_figure(store, settings))}
    except (NothingToShow, StoreError):  # without a bank in service there are no neighbours to show
        return {}


def _made_of(store: Store, sides: pl.DataFrame, bank: ArtifactVersion | None, settings: Settings) -> str:
    """Return a hash of what the neighbours depend on: the bank in service, all items' vectors, the split and its times."""
    times = [read_popularity(store).select("item", "t0"), read_labels(store).select("item", "target", "label_time")]
    is_timed = settings.protocol.split == "chronological"
    return content_hash(
        [] if bank is None else [bank.version, bank.inputs_hash, bank.fingerprint],
        sample_digests(store, "train", "val", "test", "predict"),
        [frame_hash(frame) for frame in [sides, *(times if is_timed else [])]],
    )


def _reasons(store: Store, items: list[str]) -> dict[str, int]:
    """Count the reasons why items were retrieved by content alone (M3TR, appendix H.3)."""
    stage = store.stages()[temporal_embeddings.NAME]
    states = stage.states().filter(pl.col("item").is_in(items))
    failed = states.filter(pl.col("status") == "failed")["error_type"].value_counts(sort=True)
    reasons = {f"the process failed ({kind})": count for kind, count in failed.iter_rows()}
    totals = stage.read(items=states.filter(pl.col("status") == "ok")["item"].to_list(), columns=["total"])["total"]
    silent = len(states.filter(pl.col("status") == "missing")) + int((totals.to_numpy() == 0).sum())
    if silent:
        reasons["no feedback in the observation window"] = silent
    others = len(items) - sum(reasons.values())
    if others:
        reasons["no eligible member has feedback"] = others
    return reasons


def _search(store: Store, sides: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    bank, items = open_bank(store, device=settings.bank.device), sides["item"].to_list()
    ages = Ages(**bank.version.metadata["ages"])
    windows = read_windows(store, items, form=bank.version.metadata["temporal_key"])
    # A training item's windows at `ages` only serve as keys for queries; training uses its other windows.
    trained = (sides["split"] == "train").to_numpy()[windows.row]
    windows = windows.take(~(windows.younger & trained & np.isin(windows.hours, ages.younger)))
    content, has_content = (part[windows.row] for part in content_keys(store, items))
    query_items, times = [items[row] for row in windows.row], query_times(store, settings, sides)
    times = None if times is None else times[windows.row]
    queries = bank_queries(
        bank,
        windows,
        content,
        has_content,
        items=query_items,
        groups=sides["group"].to_numpy()[windows.row],
        times=times,
        similarity=settings.similarity,
    )
    banks, size = store.artifact(bank_in_service.NAME), settings.retrieval.neighbours
    answers = search_again(store.artifact(ANSWERS), banks, bank, queries, size=size, run=shard_map(settings))
    return neighbour_rows(query_items, windows, answers, bank, MemberLabels.of(store, bank.items.tolist()), times)


def query_times(store: Store, settings: Settings, sides: pl.DataFrame) -> np.ndarray | None:
    """Return when each item searches the bank, (n,) unix ms: at its t = 0. None if every label of the bank may be seen.

    Args:
        store: The store.
        settings: Section `[protocol]` is used.
        sides: `item`.
    """
    clocks = sides.select("item").join(
        read_popularity(store).select("item", "t0"), on="item", how="left", maintain_order="left"
    )
    return asked_at(clocks["t0"], settings.protocol)


def asked_at(t0: pl.Series, protocol: Protocol) -> np.ndarray | None:
    """Return the moment (ms) by which a neighbour's label must have been known, per item; None if any label may be seen.

    Args:
        t0: Publication of each item in ms, or null.
        protocol: Section `[protocol]` of the settings.
    """
    if protocol.split != "chronological":
        return None
    # an item without t = 0 is queried now, when every label of the bank is known
    return t0.fill_null(np.iinfo(np.int64).max).to_numpy()


def bank_queries(
    bank: MemoryBank,
    windows: Windows,
    content: np.ndarray,
    has_content: np.ndarray,
    *,
    items: Sequence[str],
    groups: np.ndarray,
    times: np.ndarray | None,
    similarity: str,
) -> Queries:
    """Return the queries of n windows.

    Args:
        bank: The bank.
        windows: The windows.
        content: (n, dc) retrieval vectors of the windows' items.
        has_content: (n,) bool, whether the item has one.
        items: (n,) ids of the windows' items.
        groups: (n,) duplicate groups, -1 if unknown.
        times: (n,) from `asked_at`, or None.
        similarity: `Settings.similarity`.
    """
    heard = windows.heard
    if similarity == "content":
        heard = np.zeros_like(heard)
    elif similarity == "temporal":  # items without feedback still use content
        has_content = has_content & ~heard
    return bank.queries(
        content,
        Ages(**bank.version.metadata["ages"]).query_keys(windows),
        query_items=items,
        query_groups=groups,
        query_times=times,
        content_mask=has_content,
        temporal_mask=heard,
    )


def neighbour_rows(
    items: Sequence[str],
    windows: Windows,
    answers: Neighbours,
    bank: MemoryBank,
    known: MemberLabels,
    times: np.ndarray | None,
) -> pl.DataFrame:
    """Return the rows of the table `neighbours`.

    Args:
        items: (n,) ids of the windows' items.
        windows: The n windows.
        answers: Their neighbours.
        bank: The bank.
        known: Labels of all members.
        times: (n,) from `asked_at`, or None.
    """
    query, rank = np.nonzero(answers.mask)
    member = answers.index[query, rank]
    # float32 like the bank's labels
    shown = known.shown(member, None if times is None else times[query]).astype(np.float32)
    labels = pl.DataFrame(shown).cast(pl.Float64).fill_nan(None)
    return pl.DataFrame(
        {
            "item": np.asarray(items, dtype=object)[query],
            "younger": windows.younger[query],
            "age_hours": windows.hours[query],
            "rank": rank.astype(np.int32),
            "neighbour": bank.items[member],
            "label": labels.to_series().cast(pl.Float32),
            "labels": labels.select(pl.concat_list(pl.all())).to_series(),
            "score": answers.score[query, rank],
            "ss_modal": answers.ss_modal[query, rank],
            "ss_temp": answers.ss_temp[query, rank],
            "modal_min": answers.modal_min[query],
            "modal_max": answers.modal_max[query],
            "temp_min": answers.temp_min[query],
            "temp_max": answers.temp_max[query],
            "mode": answers.mode[query],
            "bank_version": np.full(len(query), bank.version.version, dtype=np.int32),
        },
        schema_overrides={"item": pl.String, "neighbour": pl.String, "mode": pl.String},
    )


def read_neighbours(store: Store, *, younger: bool = False) -> pl.DataFrame:
    """Return one row per item and rank (from 0). An item without an eligible neighbour has no row.

    `labels` holds the neighbour's labels on the target's scale, one per target, and `label` that of the primary target. A label
    that is unknown, or in the chronological protocol was not known when the item was published, is null.

    Args:
        store: The store.
        younger: Return the neighbours of the younger windows instead: one row per item, `age_hours` and rank.
    """
    return store.table(NAME).read().filter(pl.col("younger") == younger)


@dg.asset_check(asset=neighbours, blocking=True)
@verdict_stands(
    "no_neighbour_leaks_a_label",
    reads=lambda store, settings: table_marks(store, NAME, "popularity", "labels", "splits"),
)
def no_neighbour_leaks_a_label(settings: Settings) -> dg.AssetCheckResult:
    """No neighbour is the item itself, its duplicate, outside the training split, or has a label not known in time."""
    store = open_store(settings)
    return check_neighbours(
        store.table(NAME).read(),
        read_splits(store),
        read_popularity(store),
        read_labels(store),
        settings.protocol.split,
    )


def check_neighbours(
    frame: pl.DataFrame, sides: pl.DataFrame, windows: pl.DataFrame, labels: pl.DataFrame, split: str
) -> dg.AssetCheckResult:
    """Check every pair of item and neighbour (docs/protocol.md, rule Bank).

    Args:
        frame: The table `neighbours`.
        sides: The table `splits`.
        windows: The table `popularity`.
        labels: The table `labels`.
        split: `protocol.split`; with "chronological", a label that is shown must have been known when the query was published.
    """
    group = dict(sides.select("item", "group").iter_rows())
    pairs = frame.select("item", "neighbour", "label", "labels").with_columns(
        pl.col("item").replace_strict(group, default=None).alias("group"),
        pl.col("neighbour").replace_strict(group, default=None).alias("neighbour_group"),
    )
    problems = {
        "itself": pairs.filter(pl.col("item") == pl.col("neighbour")),
        "duplicate": pairs.filter(pl.col("group") == pl.col("neighbour_group")),
        "not in training": pairs.filter(~pl.col("neighbour").is_in(items_of(sides, "train"))),
    }
    problems |= _wrongly_shown(pairs, windows.select("item", "t0"), labels, split)
    violations = {
        name: leaks.select("item", "neighbour").head(5).rows() for name, leaks in problems.items() if len(leaks)
    }
    return dg.AssetCheckResult(
        passed=not violations, metadata={"pairs": len(pairs), "problems": dg.MetadataValue.json(violations)}
    )


def _wrongly_shown(
    pairs: pl.DataFrame, clocks: pl.DataFrame, labels: pl.DataFrame, split: str
) -> dict[str, pl.DataFrame]:
    """Return the pairs with a label that is not the neighbour's, or was not known when the query was published."""
    known = labels.join(clocks, on="item", how="left").with_columns(observable_at())
    queries = pairs.join(clocks, on="item", how="left")
    other, late = [queries.filter(pl.col("label").ne_missing(pl.col("labels").list.first().cast(pl.Float32)))], []
    for place, name in enumerate(names_of(labels)):
        own = known.filter((pl.col("target") == name) & pl.col("known")).select(
            pl.col("item").alias("neighbour"), "value", "observable_at"
        )
        shown = queries.with_columns(pl.col("labels").list.get(place).alias("shown")).drop_nulls("shown")
        shown = shown.join(own, on="neighbour", how="left")
        other.append(shown.filter((pl.col("shown") - pl.col("value")).abs().fill_null(1.0) > 1e-4))
        late.append(shown.filter(pl.col("observable_at") > pl.col("t0")))
    wrong = {"another item's label": other, "label not known in time": late if split == "chronological" else []}
    return {
        name: pl.concat([part.select("item", "neighbour") for part in parts]) for name, parts in wrong.items() if parts
    }
