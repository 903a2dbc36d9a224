"""Merging a stage's many parts into few, and removing what nobody reads any more.

The current rows are copied into a new generation, then the old generations are marked as retired: from then on readers
and new catalogs pass them over. Their files stay for the retention time, for those who had opened them before, and are
removed by a later compaction. Killed at any moment it leaves rows twice, never less than once, and a row counts once.

The catalog's views name generations, so it is published where that matters: before commits go to a new generation,
after the old ones are retired, and before their files are removed. At no moment does it miss a row, or name a file that
is gone.
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
    """Removes generations retired over `retention` seconds ago, and merges where there are over `most_parts` parts.

    publish: publishes the catalog. Returns how many parts were merged (0: nothing to do). Raises BusyError where
    another process compacts this stage, StoreError for a full disk; in both cases nothing is lost.
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
                with suppress(DamageError):  # a damaged part was set aside: the others can be merged now
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
    """Writes the rows, with the commits they have, into parts of some 256 MiB."""
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
