"""The upkeep of a store: compaction, and the removal of old versions and of unfinished files of killed writers."""

import time
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from storage import catalog
from storage.durable import BusyError
from storage.stage import RETENTION
from storage.store import Store


class Upkeep(NamedTuple):
    """What an upkeep did.

    Attributes:
        merged: Stage -> number of parts merged.
        leftovers: Number of unfinished files and folders removed, and of objects that no file of a bucket needs.
        busy: Stages that another process is compacting; they were left as they are.
        seconds: Duration.
    """

    merged: dict[str, int]
    leftovers: int
    busy: list[str]
    seconds: float


def upkeep(
    store: Store,
    *,
    retention: float = RETENTION,
    most_parts: int = 64,
    keep_versions: int = 3,
    keep_of: Mapping[str, int] | None = None,
) -> Upkeep:
    """Compact the stages, remove old versions and unfinished files, and publish the catalog.

    Writers and readers may run at the same time. Versions in service always stay.

    Args:
        store: The store.
        retention: Seconds for which the files of merged parts stay, by default a day. Must be longer than any reader runs.
        most_parts: A stage with more parts than this is compacted.
        keep_versions: How many versions of each table and artifact to keep.
        keep_of: Artifact -> how many of its versions to keep instead.

    Raises:
        StoreError: The disk is full. No row is lost.
    """
    start = time.perf_counter()
    merged, busy = {}, []
    for name, stage in store.stages().items():
        try:
            merged[name] = stage.compact(
                publish=partial(catalog.publish, store), retention=retention, most_parts=most_parts
            )
        except BusyError:
            busy.append(name)
    for name in store.names("tables"):
        store.table(name).prune(keep=keep_versions)
    for name in store.names("artifacts"):
        store.artifact(name).prune(keep=(keep_of or {}).get(name, keep_versions))
    for name in store.names("logs"):
        store.log(name).set_damaged_aside()
    leftovers = store.sweep() + store.delete_unused(retention=retention)
    catalog.publish(store)
    return Upkeep(merged, leftovers, busy, time.perf_counter() - start)
