"""What would stop a run: found before it starts, from the settings and the data set alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from assets.encoding.encoder_choice import check_encoders
from assets.encoding.imported_files import check_imports
from assets.engine.dry_run import dry_run
from assets.engine.store_access import claim
from assets.engine.user_errors import MENDABLE
from assets.protocol.learnable_labels import check_learnable
from assets.protocol.observation import measure_popularity
from assets.settings import Settings
from storage.check import Finding
from storage.datasets import open_dataset
from storage.store import Store


def find_obstacles(settings: Settings) -> Iterator[Finding]:
    """Yield what would stop a run of the whole graph. Nothing is written.

    Args:
        settings: The settings of the run.
    """
    yield from unwritable(settings)
    yield from _raised("encoders", lambda: check_encoders(settings))
    yield from _raised("data set", lambda: _read_labels(settings))


def unwritable(settings: Settings) -> Iterator[Finding]:
    """Yield the folders of the store and the results that cannot be written, or whose disk is too full."""
    needed = settings.store.min_free_mb * 2**20
    for name, folder in (("store.path", settings.store_folder()), ("store.results", settings.results_folder())):
        place = nearest_existing(folder)
        if not place.is_dir():
            what = "is a file" if place == folder else f"{place} is a file"
            yield Finding(str(folder), what, f"remove it, or name another folder ({name})")
        elif not os.access(place, os.W_OK | os.X_OK):
            yield Finding(str(folder), f"{place} cannot be written", f"allow it, or name another folder ({name})")
        elif (free := shutil.disk_usage(place).free) < needed:
            problem = (
                f"{free / 2**20:,.0f} MiB are free on its disk, {needed / 2**20:,.0f} are needed (store.min_free_mb)"
            )
            yield Finding(str(folder), problem, f"free some space, or name a folder on a larger disk ({name})")


def nearest_existing(folder: Path) -> Path:
    """Return a folder if it exists, else the nearest one above it that does."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def _read_labels(settings: Settings) -> None:
    """Read the data set as `videos` and `popularity` do, and check that something can be learned from its labels."""
    folder, data = settings.data_folder(), settings.data
    if settings.store_folder().is_dir():
        with dry_run():  # the store is not marked as this data set's
            claim(Store(settings.store_folder()), folder)
    dataset = open_dataset(folder, prefix=data.prefix, as_of=data.as_of_ms, features=data.features)
    check_imports(settings, dataset.videos["item"].to_list())
    labels = measure_popularity(
        dataset.videos, dataset.events, settings.protocol, counters=dataset.counters, as_of=dataset.as_of
    )
    check_learnable(labels, dataset.events, dataset.counters, settings.protocol)


def _raised(subject: str, check: Callable[[], None]) -> Iterator[Finding]:
    """Yield the sentence of a mendable error; it says itself what to do."""
    try:
        check()
    except MENDABLE as error:
        yield Finding(subject, str(error), "")
