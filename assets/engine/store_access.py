"""Access to the store and the data set that the settings name, and hashes of upstream rows."""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from assets.engine.dry_run import is_dry
from assets.settings import Settings
from assets.settings.audit import STUDY as AUDIT
from storage.damage import DamageError
from storage.data_set_mark import MARK, mark_store, marked_folder
from storage.datasets import Dataset, open_dataset
from storage.datasets.source_mark import source_mark
from storage.durable import StoreError, check_writable
from storage.stage import Stage
from storage.store import Store

LARGEST_KEPT = 2**29  # bytes of events of a data set that stays in memory between two steps
_last_read: dict[tuple[object, ...], Dataset] = {}  # at most one


class PlantedFault(StoreError):
    """A fault is planted in a store that does not belong to the audit of leaks."""


class OtherDataSet(StoreError):
    """The store belongs to another data set."""


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name, and check that results can be written.

    Args:
        settings: Names the store, the results' folder and the free space that is needed.

    Raises:
        storage.store.StoreError: The store's or the results' folder cannot be written, or less than `store.min_free_mb` of
            the disk is free.
        PlantedFault: `audit.fault` is set, and the store does not belong to the audit.
    """
    fault, folder = settings.audit.fault, settings.store_folder()
    if fault != "none" and folder.parent.name != AUDIT:
        raise PlantedFault(
            f"audit.fault = {fault!r} is for `reelcast leak-audit` alone; remove it to use the store {folder}"
        )
    store = Store(settings.store_folder())
    store.check(min_free=settings.store.min_free_mb * 2**20)
    check_writable(settings.results_folder())
    return store


def read_dataset(store: Store, settings: Settings) -> Dataset:
    """Read and validate the data set that the settings name.

    Several steps of a run need it. The last one read is kept in memory, unless it is large, and serves again while its files
    are the same.

    Raises:
        storage.datasets.DatasetError: The data set is invalid; the message lists the problems by file and line.
        OtherDataSet: The store belongs to another data set.
    """
    folder, data = settings.data_folder(), settings.data
    mark = source_mark(folder)
    key = (folder, mark, data.prefix, data.as_of_ms, tuple(data.features))
    if mark is None or key not in _last_read:
        _last_read.clear()
        dataset = open_dataset(folder, prefix=data.prefix, as_of=data.as_of_ms, features=data.features)
        # Files that changed while they were read have another mark now.
        if mark is not None and dataset.events.estimated_size() <= LARGEST_KEPT and source_mark(folder) == mark:
            _last_read[key] = dataset
    else:
        dataset = _last_read[key]
    claim(store, folder)
    return dataset


def claim(store: Store, folder: Path) -> None:
    """Reserve the store for a data set: a run on another one would drop every row of the first as orphaned.

    Args:
        store: The store.
        folder: Folder of the data set.

    Raises:
        OtherDataSet: The store belongs to another data set.
        DamageError: The file that names the store's data set cannot be read.
    """
    ours = folder.expanduser().resolve()
    try:
        theirs = marked_folder(store.root)
    except DamageError as error:
        remove = f"rm {shlex.quote(str(error.path))}"
        done = f"if the store was computed from {ours}, remove that file ({remove}) and run again"
        raise DamageError(error.path, error.problem, done) from error
    if theirs is None:
        if not is_dry():
            mark_store(store.root, ours)
    elif theirs != ours:
        raise OtherDataSet(
            f"{store.root} belongs to the data set {theirs}, but data.folder is {ours}. Name another store "
            f"(store.path, REELCAST_STORE__PATH). If the same data set was moved, remove {store.root / MARK}"
        )


def frame_hash(frame: pl.DataFrame) -> str:
    """Return a digest of a frame's values, column names and row order."""
    digest = hashlib.sha256(repr(frame.schema).encode())
    digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()


def outputs(stage: Stage) -> dict[str, str]:
    """Return the hash of each item's row, in stored order, as input of a later stage; failed items are left out."""
    states = stage.states().filter(pl.col("status") != "failed")
    return {
        item: digest or status for item, digest, status in states.select("item", "output_hash", "status").iter_rows()
    }


def computed_items(stage: Stage) -> list[str]:
    """Return the items whose row holds a payload, in stored order."""
    return stage.states().filter(pl.col("status") == "ok")["item"].to_list()


def combined(*hashes: Mapping[str, str] | str, items: Iterable[str]) -> dict[str, str]:
    """Return one input hash per item, combined from several upstream hashes.

    Args:
        hashes: Each one a hash per item, or a single hash for all items.
        items: Ids of the items.
    """
    inputs = {}
    for item in items:
        parts = [part if isinstance(part, str) else part.get(item, "") for part in hashes]
        inputs[item] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return inputs
