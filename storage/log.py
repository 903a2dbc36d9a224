"""A log of runs or metrics: rows are added and never changed."""

from pathlib import Path

import polars as pl

from storage.durable import ordered_name, written_beside
from storage.parts import write_parquet


class Log:
    """Get one from `Store.log`. Any process may append at any time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.name = folder.name

    def append(self, frame: pl.DataFrame) -> None:
        """Adds the rows. Columns may be new ones; those it lacks read as null, and types must stay what they were."""
        if frame.height:
            _, name = ordered_name(self.folder, ".parquet")
            with written_beside(self.folder / name) as scratch:
                write_parquet(scratch, frame.to_arrow())

    def read(self) -> pl.DataFrame:
        """All rows, in the order they were added; an empty frame where there are none."""
        frames = [pl.read_parquet(file, glob=False) for file in sorted(self.folder.glob("*.parquet"))]
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
