"""A log of runs or metrics: rows are added and never changed."""

from pathlib import Path

import polars as pl

from storage.checked_parquet import open_parquet, read_table, write_parquet
from storage.damage import DamageError, set_aside
from storage.durable import ordered_name, written_beside

APPENDED = "[0-9]*-*.parquet"
LOST = "its rows are lost, all others stay"


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

    def files(self) -> list[Path]:
        """The files of all appends, oldest first."""
        return sorted(self.folder.glob(APPENDED))

    def read(self) -> pl.DataFrame:
        """All rows, in the order they were added; an empty frame where there are none. Damaged files are set aside."""
        frames = []
        for file in self.files():
            try:
                frames.append(pl.from_arrow(read_table(file)))
            except DamageError as error:
                set_aside(file, self.folder, error.problem, LOST)
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def set_damaged_aside(self) -> None:
        """Set files aside that cannot be opened, on which SQL over the whole log fails."""
        for file in self.files():
            try:
                open_parquet(file)
            except DamageError as error:
                set_aside(file, self.folder, error.problem, LOST)
