"""A second store that starts with everything another one has computed, at the cost of hard links.

A study of several protocols or settings needs a store for each. Most stages do not depend on what differs, and the files of a
store are never changed in place, only replaced. So a derived store links to them. What does depend on the difference is planned
and computed there as in any store, by its inputs and its fingerprint, and the original store never sees it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from storage.durable import SCRATCH_PREFIX, explain
from storage.parts import RETIRED
from storage.store import Store

# Copied when the store is new; later ones would hide what was computed in the derived store.
ONCE = ("tables", "artifacts")


def derive_store(source: Store, folder: Path, *, without: Collection[str] = ()) -> Store:
    """Return the store in `folder` with every row that the stages of `source` hold.

    A new store also gets the tables and the artifacts. An existing one gets the parts of stages that it lacks; rows that both
    have computed are told apart by their inputs and fingerprints, so at worst a row is computed again.

    Args:
        source: The store to start from.
        folder: Folder of the derived store.
        without: Tables that a new store does not get, such as results, which would pass for its own until it has some.

    Raises:
        storage.durable.StoreError: The folder cannot be written.

    Example:
        >>> import tempfile
        >>> import polars as pl
        >>> root = tempfile.TemporaryDirectory()
        >>> source = Store(Path(root.name) / "own")
        >>> _ = source.table("likes").write(pl.DataFrame({"item": ["7"]}), inputs_hash="i", fingerprint="f")
        >>> derive_store(source, Path(root.name) / "derived").table("likes").read()["item"].to_list()
        ['7']
        >>> root.cleanup()
    """
    is_new = not folder.exists()
    derived = Store(folder)
    source.fetch()
    try:
        for stage in source.names("stages"):
            _link(source.root / "stages" / stage, folder / "stages" / stage)
        for kind in ONCE if is_new else ():
            for name in set(source.names(kind)) - set(without):
                _link(source.root / kind / name, folder / kind / name)
    except OSError as error:
        raise explain(error, folder) from error
    return derived


def _link(source: Path, target: Path) -> None:
    """Link to the files below a folder that `target` lacks, without locks, scratch files and retired parts."""
    for root, folders, files in os.walk(source):
        if RETIRED in files:
            folders.clear()
            continue
        place = target / Path(root).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            if not name.endswith(".lock") and not name.startswith(SCRATCH_PREFIX) and not (place / name).exists():
                _link_file(Path(root) / name, place / name)


def _link_file(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        pass  # it was replaced since it was listed
    except OSError:  # another file system, or one without hard links
        shutil.copy2(source, target)
