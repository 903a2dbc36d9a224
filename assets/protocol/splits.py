"""[protocol] splits: which items train, validate, test and are predicted; near-duplicates stay on one side."""

from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets.engine.data_versions import version_of_table
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import keep_table
from assets.engine.skip_unchanged import skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.videos import known_items, videos
from assets.protocol.learnable_labels import LEAST_ITEMS
from assets.protocol.popularity import popularity, read_popularity
from assets.sampling.frames import FRAMES
from assets.settings import Protocol, Settings
from storage.datasets import read_splits as read_split_file
from storage.duplicates import duplicate_groups
from storage.file_marks import files_mark
from storage.fingerprint import Fingerprint
from storage.splits import GAP, NAMES, chronological, paper
from storage.store import Store

NAME = "splits"
CODE = 1  # raise it when the same inputs give another result
FIELDS = {"split", "split_file", "fractions", "split_seed", "duplicate_bits"}


class SplitTooSmall(RuntimeError):
    """A side of the split has too few items to be used."""


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
        *table_marks(store, "popularity"),
        files_mark([settings.protocol.split_file] if settings.protocol.split_file else []),
    ],
    makes=lambda store, settings: table_marks(store, NAME),
)
def splits(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Group duplicates by bytes and by frames, then split the labelled items group by group; the others are predicted."""
    store, protocol = open_store(settings), settings.protocol
    fingerprint = Fingerprint(code=CODE, parameters=protocol.model_dump(include=FIELDS))
    before = store.table(NAME).state(verify=True)
    kept = read_splits(store) if before is not None and before.fingerprint == fingerprint.hash else None
    frame = make_splits(store, protocol, kept=kept)
    sizes = dict(frame["split"].value_counts().iter_rows())
    for side, least in LEAST_ITEMS.items():
        if (have := sizes.get(side, 0)) < least:
            gap = f" ({sizes[GAP]} are in the gap before the test items)" if GAP in sizes else ""
            raise SplitTooSmall(
                f"the {side} split has {have} items{gap}, at least {least} are needed; see [protocol] fractions and split"
            )
    if GAP in sizes:
        context.log.info(
            "splits: %d labelled items are in no split: their labels were not known when the first test item was published, or "
            "a later copy of them is a test item",
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


def make_splits(store: Store, protocol: Protocol, *, kept: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return one row per item: `item`, `split` (train | val | test | gap | predict), `protocol`, `group`.

    Failed items have a side too, and keep it for when they are mended; until then `assets.memory.feature_join.usable_items`
    leaves them out, as it does the gap's (see `storage.splits.chronological`).

    Args:
        store: with labels and frames.
        protocol: the settings' section.
        kept: the splits of the run before, drawn by the same protocol: in the random one, items stay on their side.
    """
    labels = read_popularity(store)
    items = labels.select("item").join(
        known_items(store).select("item", "sha256"), on="item", how="left", maintain_order="left"
    )
    groups = _duplicates(store, items, protocol.duplicate_bits)
    frame = items.select("item").with_columns(pl.Series("group", groups))
    labelled = labels.filter(pl.col("labelled").fill_null(False))
    candidates = labelled.select("item", "t0", "label_time").join(frame, on="item", how="left", maintain_order="left")
    named, of_group = candidates["item"].to_list(), candidates["group"].to_numpy()
    if protocol.split == "chronological":
        sides = chronological(
            named,
            candidates["t0"],
            of_group,
            label_times=candidates["label_time"],
            fractions=protocol.fractions,
        )
    else:
        given = read_split_file(Path(protocol.split_file)) if protocol.split_file else None
        sides = paper(named, of_group, seed=protocol.split_seed, fractions=protocol.fractions, given=given, kept=kept)
    return (
        frame.join(sides.select("item", "split"), on="item", how="left", maintain_order="left")
        .with_columns(
            pl.col("split").fill_null("predict"), pl.lit(protocol.split_file or protocol.split).alias("protocol")
        )
        .select("item", "split", "protocol", "group")
    )


def _duplicates(store: Store, items: pl.DataFrame, bits: float) -> np.ndarray:
    rows = FRAMES.open(store).read(columns=["hashes"])
    of_item = dict(zip(rows["item"].to_pylist(), rows["hashes"].to_pylist()))
    hashes = np.zeros((len(items), max([1, *map(len, of_item.values())])), dtype=np.uint64)  # 0: no frame there
    for row, item in enumerate(items["item"]):
        found = of_item.get(item, [])
        hashes[row, : len(found)] = found
    return duplicate_groups(items["item"].to_list(), items["sha256"].to_list(), hashes, distance=bits)


def read_splits(store: Store) -> pl.DataFrame:
    """`item`, `split`, `protocol`, `group`; see `make_splits`."""
    return store.table(NAME).read()


def items_of(frame: pl.DataFrame, *sides: str) -> list[str]:
    """Items of the named sides, in stored order."""
    return frame.filter(pl.col("split").is_in(sides))["item"].to_list()


@dg.asset_check(asset=splits, blocking=True)
@verdict_stands("duplicates_stay_on_one_side", reads=lambda store, settings: table_marks(store, NAME, "popularity"))
def duplicates_stay_on_one_side(settings: Settings) -> dg.AssetCheckResult:
    """No item is on two sides, no duplicate group on more than one.

    In the chronological protocol time separates the sides, and the labels of training and validation were known when the first
    test item was published.
    """
    store = open_store(settings)
    return check_splits(read_splits(store), read_popularity(store), settings.protocol)


def check_splits(frame: pl.DataFrame, labels: pl.DataFrame, protocol: Protocol) -> dg.AssetCheckResult:
    """Check the splits against duplicates and, in the chronological protocol, against time (docs/protocol.md)."""
    sides = frame.filter(pl.col("split").is_in(NAMES))
    twice = frame.group_by("item").len().filter(pl.col("len") > 1)["item"].to_list()
    astride = sides.group_by("group").agg(pl.col("split").n_unique().alias("sides"), pl.col("item").first())
    found = {
        "items twice": twice[:10],
        "groups on two sides": astride.filter(pl.col("sides") > 1)["item"].to_list()[:10],
    }
    if protocol.split == "chronological" and not protocol.split_file:
        timed = sides.join(labels.select("item", "t0", "label_time"), on="item")
        found["published out of order"] = _out_of_order(timed)
        found["label not known when the first test item was published"] = _known_too_late(timed)
    found = {name: items for name, items in found.items() if items}
    # a published split is followed as it is; retrieval still keeps the members of a group apart
    followed = protocol.split_file is not None and "items twice" not in found
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN if followed else dg.AssetCheckSeverity.ERROR,
        metadata={"items": len(sides), "problems": dg.MetadataValue.json(found)},
    )


def _known_too_late(sides: pl.DataFrame) -> list[str]:
    """Items that are trained or validated on though their label came after the publication of a test item."""
    begin = sides.filter(pl.col("split") == "test")["t0"].min()
    fitted = sides.filter(pl.col("split") != "test")
    return fitted.filter(pl.col("label_time") > pl.lit(begin, pl.Int64))["item"].to_list()[:10]


def _out_of_order(sides: pl.DataFrame) -> list[str]:
    """Items of groups that belong before an earlier side's last one; a group's place in time is its latest member's."""
    latest = sides.group_by("group", "split").agg(pl.col("t0").max(), pl.col("item").first())
    late: list[str] = []
    for earlier, later in (("train", "val"), ("val", "test")):
        bound = latest.filter(pl.col("split") == earlier)["t0"].max()
        if bound is not None:
            late += latest.filter((pl.col("split") == later) & (pl.col("t0") < bound))["item"].to_list()
    return late[:10]
