"""The compaction of a stage: it merges many parts into few, and removes parts that are no longer read.

The current rows are copied into a new generation, and then the old generations are marked as retired. From then on readers
and new catalogs ignore them. Their files stay for the retention time, for readers that opened them before, and are removed
by a later compaction. If the process is killed, some rows may exist twice, but none is lost; duplicates count once.

The catalog's views name generations. So the catalog is published before commits go to a new generation, after the old
generations are retired, and before their files are removed. It never misses a row and never names a removed file.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.checked_parquet import write_parquet
from storage.damage import DamageError
from storage.durable import exclusive, explain, ordered_name, remove_folder, write_text, written_beside
from storage.parts import EMPTY, RETIRED, Parts
from storage.rows import DROPPED

PART_BYTES = 256 * 2**20


def compact(parts: Parts, *, publish: Callable[[], object], retention: float, most_parts: int) -> int:
    """Remove generations that were retired long ago, and merge the parts if there are too many.

    Args:
        parts: The stage's parts.
        publish: Publishes the catalog.
        retention: Seconds after which a retired generation is removed.
        most_parts: The number of parts up to which nothing is merged.

    Returns:
        How many parts were merged.

    Raises:
        BusyError: Another process is compacting this stage.
        StoreError: The disk is full. No row is lost.
    """
    try:
        with exclusive(parts.folder / "compacting.lock", doing="compacting this stage"):
            limit = time.time() - retention
            retired = parts.generations(retired=True)
            if outdated := [generation for generation in retired if (generation / RETIRED).stat().st_mtime <= limit]:
                publish()
                for generation in outdated:
                    remove_folder(generation)
            if sum(file.name != EMPTY for file in parts.files()) <= most_parts:
                return 0
            while True:
                with suppress(DamageError):  # the damaged part was set aside, so the next attempt does not meet it
                    return _merge(parts, publish)
    except OSError as error:
        raise explain(error, parts.folder) from error


def _merge(parts: Parts, publish: Callable[[], object]) -> int:
    old = parts.generations()
    new = parts.add_generation()
    publish()
    parts.open_generation(new)
    merged = parts.files(old)
    live = parts.states(merged).filter(pl.col("status") != DROPPED)
    layout = pl.col("part").str.split("/").list.get(-2)
    for (name,), rows in live.group_by(layout.alias("layout"), maintain_order=True):
        _copy(parts, rows, new / name)
    for generation in old:
        write_text(generation / RETIRED, "its current rows were copied to a later generation\n")
    publish()
    return sum(file.name != EMPTY for file in merged)


def _copy(parts: Parts, rows: pl.DataFrame, folder: Path) -> None:
    """Write the rows, with their commit numbers, into parts of about 256 MiB."""
    tables: list[pa.Table] = []

    def write() -> None:
        _, name = ordered_name(folder, ".parquet")
        with written_beside(folder / name) as scratch:
            write_parquet(scratch, pa.concat_tables(tables).combine_chunks())
        tables.clear()

    for (part,), wanted in rows.group_by(["part"], maintain_order=True):
        tables.append(parts.read_part(Path(part), wanted["row"].sort().to_list(), None))
        if sum(table.nbytes for table in tables) >= PART_BYTES:
            write()
    if tables:
        write()
