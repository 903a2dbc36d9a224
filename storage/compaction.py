"""Merging a stage's many parts into few, and removing what nobody reads any more.

The current rows are copied into a new generation, then the old generations are marked as retired: from then on readers
and new catalogs pass them over. Their files stay for the retention time, for those who had opened them before, and are
removed by a later compaction. Killed at any moment it leaves rows twice, never less than once, and a row counts once.
"""

import time
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.durable import explain, ordered_name, remove_folder, write_text, written_beside
from storage.parts import EMPTY, RETIRED, Parts, read_rows, write_parquet
from storage.rows import DROPPED

PART_BYTES = 256 * 2**20


def compact(parts: Parts, *, retention: float, most_parts: int) -> int:
    """Removes generations retired over `retention` seconds ago, and merges where there are over `most_parts` parts.

    Returns how many parts were merged (0: nothing to do). Publish the catalog afterwards: one published before goes on
    working, but does not see what is committed after this. Raises StoreError for a full disk, with nothing lost.
    """
    try:
        for generation in parts.generations(retired=True):
            if (generation / RETIRED).stat().st_mtime <= time.time() - retention:
                remove_folder(generation)
        before = [file for file in parts.files() if file.name != EMPTY]
        if len(before) <= most_parts:
            return 0
        old = parts.generations()
        new = parts.open_generation()
        parts.seed()
        merged = parts.files(old)
        live = parts.states(merged).filter(pl.col("status") != DROPPED)
        by_layout = live.with_columns(
            layout=pl.col("part").map_elements(lambda part: Path(part).parent.name, pl.String)
        )
        for (layout,), rows in by_layout.group_by(["layout"], maintain_order=True):
            _copy(rows, new / layout)
        for generation in old:
            write_text(generation / RETIRED, "its current rows were copied to a later generation\n")
    except OSError as error:
        raise explain(error, parts.folder) from error
    return sum(file.name != EMPTY for file in merged)


def _copy(rows: pl.DataFrame, folder: Path) -> None:
    """Writes the rows, with the commits they have, into parts of some 256 MiB."""
    tables: list[pa.Table] = []

    def write() -> None:
        _, name = ordered_name(folder, ".parquet")
        with written_beside(folder / name) as scratch:
            write_parquet(scratch, pa.concat_tables(tables).combine_chunks())
        tables.clear()

    for (part,), wanted in rows.group_by(["part"], maintain_order=True):
        tables.append(read_rows(Path(part), wanted["row"].sort().to_list(), None))
        if sum(table.nbytes for table in tables) >= PART_BYTES:
            write()
    if tables:
        write()
