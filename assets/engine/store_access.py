"""The store and the data set as the settings name them, and the hashes that a later stage builds on."""

import hashlib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from assets.engine.dry_run import is_dry
from assets.settings import Settings
from storage.damage import DamageError
from storage.data_set_mark import MARK, mark_store, marked_folder
from storage.datasets import Dataset, open_dataset
from storage.durable import StoreError, check_writable
from storage.stage import Stage
from storage.store import Store


class OtherDataSet(StoreError):
    """The store holds another data set."""


def open_store(settings: Settings) -> Store:
    """Open the store that the settings name, and make sure that results can be written.

    Raises:
        storage.store.StoreError: the store's or the results' folder cannot be written, or the disk is fuller than
            `store.min_free_mb` allows.
    """
    store = Store(settings.store_folder())
    store.check(min_free=settings.store.min_free_mb * 2**20)
    check_writable(settings.results_folder())
    return store


def read_dataset(store: Store, settings: Settings) -> Dataset:
    """Read and validate the data set that the settings name.

    Raises:
        storage.datasets.DatasetError: what is wrong with it, by file and line.
        OtherDataSet: the store holds another one.
    """
    folder = settings.data_folder()
    dataset = open_dataset(folder, prefix=settings.data.prefix, as_of=settings.data.as_of_ms)
    claim(store, folder)
    return dataset


def claim(store: Store, folder: Path) -> None:
    """Keep a store to one data set: run on another one, every row of the first would be dropped as orphaned.

    Raises:
        OtherDataSet: the store holds another data set.
        DamageError: the file that names the store's data set cannot be read.
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
            f"{store.root} holds what was computed from {theirs}, and data.folder is {ours}. Name another store "
            f"(store.path, REELCAST_STORE__PATH); if it is the same set in another place, remove {store.root / MARK}"
        )


def frame_hash(frame: pl.DataFrame) -> str:
    """Digest of a frame's values, column names and row order."""
    digest = hashlib.sha256(repr(frame.schema).encode())
    digest.update(frame.hash_rows(seed=0).to_numpy().tobytes())
    return digest.hexdigest()


def outputs(stage: Stage) -> dict[str, str]:
    """What a later stage builds on: the hash of each item's row, in stored order. Failed items are not among them."""
    states = stage.states().filter(pl.col("status") != "failed")
    return {
        item: digest or status for item, digest, status in states.select("item", "output_hash", "status").iter_rows()
    }


def combined(*hashes: Mapping[str, str] | str, items: Iterable[str]) -> dict[str, str]:
    """Input hash of each item from several upstream ones: by item, or one that all share."""
    made = {}
    for item in items:
        parts = [part if isinstance(part, str) else part.get(item, "") for part in hashes]
        made[item] = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return made
