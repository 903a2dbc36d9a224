"""Which user met which item when, and clicked it or not, packed into memory-mapped arrays (MUFM, appendix 5)."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from assets.audience.exposures import Exposures, first_test_publication, read_exposures
from assets.engine.data_versions import version_of_artifacts
from assets.engine.dry_run import stop_if_planning
from assets.engine.pools import IN_THE_CATALOG
from assets.engine.run_log import note_run
from assets.engine.skip_unchanged import artifact_marks, skip_unchanged, stage_marks, table_marks, verdict_stands
from assets.engine.store_access import open_store
from assets.ingest.interactions import interactions, read_events
from assets.ingest.videos import VIDEOS
from assets.protocol.popularity import popularity, read_popularity
from assets.protocol.splits import items_of, read_splits, splits
from assets.settings import Protocol, Settings
from models.recommenders import ItemFeatures, UserHistories
from storage.artifact_version import ArtifactVersion
from storage.datasets.exposure_log import ExposureLog
from storage.durable import StoreError
from storage.file_marks import contents_mark
from storage.fingerprint import Fingerprint
from storage.hashing import content_hash
from storage.store import Store

NAME = "user_histories"
CODE = 1  # raise it when the same inputs give another result
ARRAYS = ("users", "items", "start", "item", "time", "clicked")
BLOCK = 16_384  # vectors that are copied at once
OFF = "audience.train is empty"


@dataclass(frozen=True)
class KeptHistories:
    """Histories as the store holds them; arrays are memory-mapped.

    Attributes:
        version: The version of the artifact.
        histories: All exposures.
        observed: (E,) bool, the exposures that a forecast may rest on: inside the windows of training items.
        part: (E,) 0 where the log's publisher put the exposure into training, 1 for the test; None without such a division.
        features: Content of the items that the log itself brings; None without.
    """

    version: ArtifactVersion
    histories: UserHistories
    observed: np.ndarray
    part: np.ndarray | None
    features: ItemFeatures | None


def log_mark(settings: Settings) -> str:
    """Return a digest of the files of `audience.exposures`; empty if unset."""
    if settings.audience.exposures is None:
        return ""
    path = Path(settings.audience.exposures).expanduser().absolute()
    return contents_mark(path.iterdir() if path.is_dir() else [path])


@dg.asset(
    group_name="audience",
    kinds={"numpy"},
    deps=[VIDEOS.asset, interactions, popularity, splits],
    description=__doc__,
    code_version=str(CODE),
    **IN_THE_CATALOG,
)
@skip_unchanged(
    NAME,
    reads=lambda store, settings: [
        *stage_marks(store, "videos"),
        *table_marks(store, "interactions", "popularity", "splits"),
        log_mark(settings),
    ],
    makes=lambda store, settings: artifact_marks(store, NAME),
)
def user_histories(context: dg.AssetExecutionContext, settings: Settings) -> dg.MaterializeResult:
    """Pack the histories, if any recommender is trained. Events without a user, and types that are neither, are left out."""
    store, audience = open_store(settings), settings.audience
    if not audience.train:
        context.log.info("user_histories: nothing to do, %s", OFF)
        return dg.MaterializeResult(data_version=dg.DataVersion("off"), metadata={"skipped": OFF})
    parameters = audience.model_dump(include={"clicks", "skips", "click_from", "exposures"})
    fingerprint = Fingerprint(code=CODE, parameters={**parameters, "protocol": settings.protocol.model_dump()})
    tables = [store.table(name).state() for name in ("interactions", "popularity", "splits")]
    listed = VIDEOS.open(store).states()["item"].to_list()
    inputs_hash = content_hash([[state.inputs_hash, state.fingerprint] for state in tables], listed, log_mark(settings))
    artifact = store.artifact(NAME)
    if not artifact.is_current(inputs_hash, fingerprint.hash):
        stop_if_planning(reason="the exposures or what is a click changed")
        exposures = read_exposures(store, settings)
        for note in exposures.log.notes if exposures.log is not None else ():
            (context.log.warning if note.severity == "warning" else context.log.info)("user_histories: %s", note.text)
        metadata: dict[str, object] = {}
        with artifact.new(inputs_hash=inputs_hash, fingerprint=fingerprint.hash, metadata=metadata) as folder:
            metadata |= keep_histories(folder, exposures)
        artifact.prune(keep=1)
        note_run(context, store, NAME, computed=int(metadata["exposures"]), seconds=0.0)
    version = artifact.current()
    return dg.MaterializeResult(data_version=version_of_artifacts(version), metadata=dict(version.metadata))


def keep_histories(folder: Path, exposures: Exposures) -> dict[str, object]:
    """Write histories into a folder as arrays.

    Args:
        folder: The folder.
        exposures: The exposures, in any order.

    Returns:
        Numbers of users, items and exposures for a person to read.
    """
    frame, log = exposures.frame, exposures.log
    users = frame["user"].unique().sort().to_list()
    known = pl.Enum(exposures.items)
    part = () if log is None or log.part is None else (pl.Series("part", log.part),)
    rows = frame.with_columns(
        pl.col("user").cast(pl.Enum(users)).to_physical(),
        pl.col("item").cast(known).to_physical(),
        *part,
    ).sort("user", "time", maintain_order=True)
    arrays = {
        "users": np.array(users, dtype=str),
        "items": np.array(exposures.items, dtype=str),
        "start": np.searchsorted(rows["user"].to_numpy(), np.arange(len(users) + 1)).astype(np.int64),
        "item": rows["item"].to_numpy().astype(np.int32),
        "time": rows["time"].to_numpy(),
        **{name: rows[name].to_numpy() for name in ("clicked", "observed", *(series.name for series in part))},
    }
    if log is not None and log.categories is not None:
        arrays["category"] = np.zeros(len(exposures.items), np.int32)
        arrays["category"][_places(log.categories["item"], known)] = log.categories["category"].to_numpy() + 1
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    if log is not None and log.features:
        _copy_vectors(folder, exposures.log, known)
    return {
        "users": len(users),
        "items": len(exposures.items),
        "exposures": len(rows),
        "clicks": int(arrays["clicked"].sum()),
        "observed": int(arrays["observed"].sum()),
    }


def _places(items: pl.Series, known: pl.Enum) -> np.ndarray:
    """Return the row of each item (n,), -1 where it is not known."""
    return items.cast(known, strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()


def _copy_vectors(folder: Path, log: ExposureLog, known: pl.Enum) -> None:
    """Write the log's vectors in the order of the items, as float16 and in blocks, and which items have one."""
    count, width = len(known.categories), next(iter(log.features.values()))[1].shape[1]
    has = np.zeros(count, bool)
    kept = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (count, width))
    for items, vectors in log.features.values():
        rows = _places(pl.Series(items), known)
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            wanted = rows[block] >= 0
            kept[rows[block][wanted]] = vectors[block][wanted]
            has[rows[block][wanted]] = True
    kept.flush()
    np.save(folder / "vectors_known.npy", has)


def read_histories(store: Store) -> KeptHistories:
    """Open the histories in service.

    Raises:
        StoreError: No histories are in service.
    """
    version = store.artifact(NAME).current()
    if version is None:
        raise StoreError(f"no histories are in service; pack them (dagster asset materialize --select '{NAME}+')")
    with version.reading() as folder:
        return KeptHistories(version, *open_histories(folder))


def open_histories(
    folder: Path,
) -> tuple[UserHistories, np.ndarray, np.ndarray | None, ItemFeatures | None]:
    """Open the arrays that `keep_histories` wrote, memory-mapped.

    Returns:
        The histories, which exposures are observed, their part, and the items' content; see `KeptHistories`.
    """
    arrays = {file.stem: _open(file) for file in sorted(folder.glob("*.npy"))}
    features = None
    if "vectors" in arrays:
        known = {"visual": np.asarray(arrays["vectors_known"])}
        features = ItemFeatures({"visual": arrays["vectors"]}, known, arrays.get("category"))
    histories = UserHistories(**{name: arrays[name] for name in ARRAYS})
    return histories, arrays["observed"], arrays.get("part"), features


def _open(file: Path) -> np.ndarray:
    """Map an array of numbers into memory; an empty one, or one of texts, is read."""
    values = np.load(file, mmap_mode="r")
    return values if values.size and values.dtype.kind != "U" else np.load(file)


@dg.asset_check(asset=user_histories, blocking=True)
@verdict_stands(
    "observed_exposures_are_in_training_windows",
    reads=lambda store, settings: [
        *artifact_marks(store, NAME),
        *table_marks(store, "interactions", "popularity", "splits"),
    ],
)
def observed_exposures_are_in_training_windows(settings: Settings) -> dg.AssetCheckResult:
    """Scores rest on exposures in the windows of training items, before any test item is published (docs/recommenders.md)."""
    store = open_store(settings)
    if not settings.audience.train:
        return dg.AssetCheckResult(passed=True, metadata={"skipped": OFF})
    kept = read_histories(store)
    events = None if settings.audience.exposures is not None else read_events(store)
    return check_observed(
        kept.histories, kept.observed, read_popularity(store), read_splits(store), settings.protocol, events=events
    )


def check_observed(
    histories: UserHistories,
    observed: np.ndarray,
    windows: pl.DataFrame,
    sides: pl.DataFrame,
    protocol: Protocol,
    *,
    events: pl.DataFrame | None = None,
) -> dg.AssetCheckResult:
    """Compare the exposures that a score may rest on with the raw windows and splits.

    Args:
        histories: All exposures.
        observed: (E,) bool, which of them a score may rest on.
        windows: The table `popularity`.
        sides: The table `splits`.
        protocol: Section `[protocol]` of the settings.
        events: The table `interactions`; None for exposures from a log. With `protocol.first_k` the exposures of an item must
            be among its first k events.

    Returns:
        The check's result, with the number and the latest of the wrong exposures per rule.
    """
    rows = np.flatnonzero(observed)
    user = np.searchsorted(histories.start, rows, side="right") - 1
    frame = pl.DataFrame(
        {
            "user": histories.users[user],
            "item": histories.items[histories.item[rows]],
            "time": np.asarray(histories.time[rows], np.int64),
        },
        schema={"user": pl.String, "item": pl.String, "time": pl.Int64},
    ).join(windows.select("item", "t0", "observed_until"), on="item", how="left")
    rules = {
        "of an item that is not for training": ~pl.col("item").is_in(items_of(sides, "train")),
        "after the observation window": (pl.col("time") > pl.col("observed_until")).fill_null(True),
    }
    if protocol.forecasts_at_publication:
        rules["although nothing is observed"] = pl.lit(True)
    if (first := first_test_publication(windows, sides, protocol)) is not None:
        rules["not before the first test item"] = pl.col("time") >= first
    if protocol.first_k is not None and events is not None:
        late = (
            events.filter(pl.col("order") >= protocol.first_k).group_by("item").agg(pl.col("time").min().alias("late"))
        )
        counted = frame.group_by("item").len().filter(pl.col("len") > protocol.first_k)["item"].to_list()
        frame = frame.join(late, on="item", how="left")
        rules["beyond the first events"] = (pl.col("time") > pl.col("late")).fill_null(False) | pl.col("item").is_in(
            counted
        )
    wrong = {}
    for told, rule in rules.items():
        found = frame.filter(rule).select("user", "item", "time")
        if len(found):
            wrong[told] = {"exposures": len(found), "latest": list(found.sort("time").row(-1))}
    return dg.AssetCheckResult(
        passed=not wrong, metadata={"observed": len(frame), "wrong": dg.MetadataValue.json(wrong)}
    )
