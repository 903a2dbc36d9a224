"""The split: each item is for training, validation, test, gap or prediction; near-duplicates stay on one side."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.engine.user_errors import UserError
from assets.ingest.videos import known_items, videos
from assets.protocol.labels import names_of, observable_at, read_labels
from assets.protocol.learnable_labels import LEAST_ITEMS
from assets.protocol.popularity import popularity, read_popularity
from assets.sampling.frames import FRAMES
from assets.settings import Protocol, Settings
from storage.datasets import read_splits as read_split_file
from storage.duplicates import duplicate_groups
from storage.file_marks import files_mark, tree_mark
from storage.fingerprint import Fingerprint
from storage.splits import GAP, NAMES, chronological, paper
from storage.store import Store

NAME = "splits"
CODE = 1  # raise it when the same inputs give another result
FIELDS = {"split", "split_file", "fractions", "split_seed", "duplicate_bits"}
OWN_SPLIT = "split.csv"  # a data set's own split, in its folder
FAULTS = ("torn_duplicates", "labels_of_the_future")  # of `audit.fault`, those that change the split
DRAWN = "drawn"  # `protocol.split_file`: draw a split although the data set has one


class SplitTooSmall(UserError):
    """A side of the split has too few items."""


@dg.asset(
    group_name="protocol",
    kinds={"parquet"},
    deps=[videos, popularity, FRAMES.asset],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    "splits",
    reads=lambda store, settings: [
        *stage_marks(store, "videos", "frames"),
        *table_marks(store, "popularity", "labels"),
        _split_file_mark(split_protocol(settings)),
    ],
    makes=lambda store, settings: table_marks(store, NAME),
)
def splits(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Group duplicates by bytes and by frames, then split the labelled items by group.

    Items without a label are for prediction.
    """
    store, protocol = open_store(settings), split_protocol(settings)
    fault = settings.audit.fault if settings.audit.fault in FAULTS else None
    fingerprint = Fingerprint(
        code=CODE, parameters=protocol.model_dump(include=FIELDS) | ({} if fault is None else {"fault": fault})
    )
    before = store.table(NAME).state(verify=True)
    kept = read_splits(store) if before is not None and before.fingerprint == fingerprint.hash else None
    published = read_split_file(protocol.split_file) if protocol.split_file else None
    frame = make_splits(store, protocol, published=published, kept=kept, fault=fault)
    sizes = dict(frame["split"].value_counts().iter_rows())
    for side, least in LEAST_ITEMS.items():
        if (have := sizes.get(side, 0)) < least:
            gap = f" ({sizes[GAP]} are in the gap, which is used for nothing)" if GAP in sizes else ""
            raise SplitTooSmall(
                f"the {side} split has {have} items{gap}; at least {least} are needed. See [protocol] fractions and split"
            )
    _refuse_targets_without_labels(frame, read_labels(store))
    if published is not None:
        _tell_differences(context, frame, published, protocol.split_file)
    elif GAP in sizes:
        context.log.info(
            "splits: %d labelled items are in the gap: their label was not known when the first test item was published, or a "
            "later copy of them is a test item",
            sizes[GAP],
        )
    keep_table(context, store, NAME, frame, fingerprint)
    repeated = frame.group_by("group").len().filter(pl.col("len") > 1)
    return dg.MaterializeResult(
        data_version=version_of_table(frame),
        metadata={
            **{side: sizes.get(side, 0) for side in (*NAMES, GAP, "predict")},
            "duplicate_groups": len(repeated),
            "items_in_duplicate_groups": int(repeated["len"].sum() or 0),
            "protocol": protocol.split_file or protocol.split,
        },
    )


def _tell_differences(
    context: dg.AssetExecutionContext, frame: pl.DataFrame, published: pl.DataFrame, file: str
) -> None:
    """Tell how many items only the published split has, and how many labelled items only the data set has."""
    unknown = published.join(frame, on="item", how="anti", maintain_order="left")["item"]
    if len(unknown):
        context.log.info(
            "splits: %d of %d items of %s are not in the data set, first: %s",
            len(unknown),
            len(published),
            file,
            unknown[0],
        )
    lacking = frame.filter(pl.col("split") == GAP)["item"]
    if len(lacking):
        labelled = int((frame["split"] != "predict").sum())
        context.log.warning(
            "splits: %d of %d labelled items are not in %s and are used for nothing, first: %s",
            len(lacking),
            labelled,
            file,
            lacking[0],
        )


def _refuse_targets_without_labels(frame: pl.DataFrame, labels: pl.DataFrame) -> None:
    known = frame.join(labels.filter("known"), on="item").group_by("target", "split").len()
    sizes = {(target, side): count for target, side, count in known.iter_rows()}
    for target in names_of(labels):
        for side, least in LEAST_ITEMS.items():
            if (have := sizes.get((target, side), 0)) < least:
                raise SplitTooSmall(
                    f"{target}: {have} items of the {side} split have this label; at least {least} are needed. Leave it out of "
                    "protocol.targets, or see [protocol] fractions and split"
                )


def split_protocol(settings: Settings) -> Protocol:
    """Return the section `[protocol]` with the split that applies.

    A data set's own `split.csv` is used instead of a random split, unless `split_file` names another file or is "drawn".
    """
    protocol = settings.protocol
    if protocol.split_file == DRAWN:
        return protocol.model_copy(update={"split_file": None})
    own = settings.data_folder() / OWN_SPLIT
    if protocol.split_file is None and protocol.split == "paper" and own.is_file():
        return protocol.model_copy(update={"split_file": str(own)})
    return protocol


def _split_file_mark(protocol: Protocol) -> str:
    """Return a mark of the published split's file, or of all files of its folder."""
    if not protocol.split_file:
        return files_mark([])
    path = Path(protocol.split_file).expanduser()
    return tree_mark(path) if path.is_dir() else files_mark([path])


def make_splits(
    store: Store,
    protocol: Protocol,
    *,
    published: pl.DataFrame | None = None,
    kept: pl.DataFrame | None = None,
    fault: str | None = None,
) -> pl.DataFrame:
    """Return the split of every item.

    Failed items have a side too, and keep it until they are repaired. `assets.memory.feature_join.usable_items` leaves out
    failed items and the gap (see `storage.splits.chronological`).

    Args:
        store: Store with labels and frames.
        protocol: Section `[protocol]` of the settings, from `split_protocol`.
        published: The published split, if the protocol names one.
        kept: Splits of the last run by the same protocol. In the random split, its items stay on their side.
        fault: A fault that the audit of leaks plants: "torn_duplicates" (each item is a group of its own) or
            "labels_of_the_future" (every label counts as known at publication). None: no fault.

    Returns:
        One row per item: `item`, `split` (train | val | test | gap | predict), `protocol`, `group` (of duplicates).
    """
    labels = read_popularity(store)
    items = labels.select("item").join(
        known_items(store).select("item", "sha256"), on="item", how="left", maintain_order="left"
    )
    torn = fault == "torn_duplicates"
    groups = np.arange(len(items)) if torn else _duplicates(store, items, protocol.duplicate_bits)
    frame = items.select("item").with_columns(pl.Series("group", groups))
    labelled = labels.filter(pl.col("labelled").fill_null(False))
    candidates = labelled.select("item", "t0", observable_at()).join(
        frame, on="item", how="left", maintain_order="left"
    )
    ids, group = candidates["item"].to_list(), candidates["group"].to_numpy()
    if protocol.split == "chronological":
        sides = chronological(
            ids,
            candidates["t0"],
            group,
            label_times=candidates["t0" if fault == "labels_of_the_future" else "observable_at"],
            fractions=protocol.fractions,
        )
    else:
        sides = paper(ids, group, seed=protocol.split_seed, fractions=protocol.fractions, given=published, kept=kept)
    return (
        frame.join(sides.select("item", "split"), on="item", how="left", maintain_order="left")
        .with_columns(
            pl.col("split").fill_null("predict"), pl.lit(protocol.split_file or protocol.split).alias("protocol")
        )
        .select("item", "split", "protocol", "group")
    )


def _duplicates(store: Store, items: pl.DataFrame, bits: float) -> np.ndarray:
    hashes = hash_matrix(store, items["item"].to_list())
    return duplicate_groups(items["item"].to_list(), items["sha256"].to_list(), hashes, distance=bits)


def hash_matrix(store: Store, items: Sequence[str]) -> np.ndarray:
    """Return the perceptual hashes of the items' frames, (n, K) uint64; 0 where an item has no frame.

    K is the largest number of frames of any item in the store.
    """
    rows = FRAMES.open(store).read(columns=["hashes"])
    of_item = dict(zip(rows["item"].to_pylist(), rows["hashes"].to_pylist()))
    hashes = np.zeros((len(items), max([1, *map(len, of_item.values())])), dtype=np.uint64)
    for row, item in enumerate(items):
        own = of_item.get(item, [])
        hashes[row, : len(own)] = own
    return hashes


def read_splits(store: Store) -> pl.DataFrame:
    """Return the stored split: `item`, `split`, `protocol`, `group`; see `make_splits`."""
    return store.table(NAME).read()


def items_of(frame: pl.DataFrame, *sides: str) -> list[str]:
    """Return the items on the given sides, in stored order."""
    return frame.filter(pl.col("split").is_in(sides))["item"].to_list()


@dg.asset_check(asset=splits, blocking=True)
@verdict_stands("duplicates_stay_on_one_side", reads=lambda store, settings: table_marks(store, NAME, "popularity"))
def duplicates_stay_on_one_side(settings: Settings) -> dg.AssetCheckResult:
    """No item is on two sides, and no group of duplicates is on more than one.

    In the chronological split, the sides are in order of time, and the labels of training and validation items were known
    when the first test item was published.
    """
    store = open_store(settings)
    return check_splits(read_splits(store), read_popularity(store), split_protocol(settings))


def check_splits(frame: pl.DataFrame, labels: pl.DataFrame, protocol: Protocol) -> dg.AssetCheckResult:
    """Check the split for duplicates and, if it is chronological, for the order of time (docs/protocol.md, rule Splits)."""
    sides = frame.filter(pl.col("split").is_in(NAMES))
    repeated = frame.group_by("item").len().filter(pl.col("len") > 1)["item"].to_list()
    torn = sides.group_by("group").agg(pl.col("split").n_unique().alias("sides"), pl.col("item").first())
    problems = {
        "items twice": repeated[:10],
        "groups on two sides": torn.filter(pl.col("sides") > 1)["item"].to_list()[:10],
    }
    if protocol.split == "chronological" and not protocol.split_file:
        timed = sides.join(labels.select("item", "t0", "label_time"), on="item")
        problems["published out of order"] = _out_of_order(timed)
        problems["label not known when the first test item was published"] = _known_too_late(timed)
    problems = {name: items for name, items in problems.items() if items}
    # A published split is used even if it tears a group: retrieval never returns a query's duplicates.
    is_warning = protocol.split_file is not None and "items twice" not in problems
    return dg.AssetCheckResult(
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
        metadata={"items": len(sides), "problems": dg.MetadataValue.json(problems)},
    )


def _known_too_late(sides: pl.DataFrame) -> list[str]:
    """Return training and validation items whose label was not known when the first test item was published."""
    begin = sides.filter(pl.col("split") == "test")["t0"].min()
    fitted = sides.filter(pl.col("split") != "test")
    return fitted.filter(pl.col("label_time") > pl.lit(begin, pl.Int64))["item"].to_list()[:10]


def _out_of_order(sides: pl.DataFrame) -> list[str]:
    """Return one item per group that is older than a group on an earlier side; a group's time is its latest member's."""
    latest = sides.group_by("group", "split").agg(pl.col("t0").max(), pl.col("item").first())
    late: list[str] = []
    for earlier, later in (("train", "val"), ("val", "test")):
        bound = latest.filter(pl.col("split") == earlier)["t0"].max()
        if bound is not None:
            late += latest.filter((pl.col("split") == later) & (pl.col("t0") < bound))["item"].to_list()
    return late[:10]
