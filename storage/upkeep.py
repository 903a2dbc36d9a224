"""What keeps a store small: compaction, and the removal of old versions and of what killed writers left behind."""

import time
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from storage import catalog
from storage.durable import BusyError
from storage.stage import RETENTION
from storage.store import Store


class Upkeep(NamedTuple):
    """merged: stage -> parts merged; leftovers: files and folders removed; busy: stages another process compacts."""

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
    """Compacts stages of over `most_parts` parts, keeps `keep_versions` of tables and artifacts, publishes the catalog.

    keep_of: another number for the artifacts named.

    Safe beside writers and readers: what is in service stays, and files of merged parts stay for `retention` seconds,
    which must be longer than any reader takes. Raises StoreError for a full disk, with nothing lost.
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
    leftovers = store.sweep()
    catalog.publish(store)
    return Upkeep(merged, leftovers, busy, time.perf_counter() - start)
