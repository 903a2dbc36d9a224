"""An append-only log of runs or metrics."""

from pathlib import Path

import polars as pl

from storage.checked_parquet import open_parquet, read_table, write_parquet
from storage.damage import DamageError, set_aside
from storage.durable import ordered_name, written_beside
from storage.remote.connection import mirror_of

APPENDED = "[0-9]*-*.parquet"
LOST = "its rows are lost, all other rows stay"


class Log:
    """Rows that are only appended. Get a log from `Store.log`.

    Any process may append at any time.

    Attributes:
        folder: The log's folder in the store.
        name: The folder's name.
    """

    def __init__(self, folder: Path):
        """Refer to the log in `folder`; the folder need not exist yet."""
        self.folder = folder
        self.name = folder.name
        self._mirror = mirror_of(folder)

    def append(self, frame: pl.DataFrame) -> None:
        """Append rows. Columns that `frame` lacks are null in its rows.

        Args:
            frame: The rows. New columns are allowed; existing columns must keep their types.

        Raises:
            StoreError: The disk is full or read-only.
        """
        if frame.height:
            self._mirror.change(lambda: self._append(frame))

    def _append(self, frame: pl.DataFrame) -> None:
        _, name = ordered_name(self.folder, ".parquet", also=self._mirror.names())
        with written_beside(self.folder / name) as scratch:
            write_parquet(scratch, frame.to_arrow())

    def files(self) -> list[Path]:
        """Return the log's files, oldest first: one per call of `append`."""
        self._mirror.fetch()
        return sorted(self.folder.glob(APPENDED))

    def read(self) -> pl.DataFrame:
        """Return all rows in the order in which they were appended. Damaged files are set aside, with a warning."""
        frames = []
        for file in self.files():
            try:
                frames.append(pl.from_arrow(read_table(file)))
            except DamageError as error:
                set_aside(file, self.folder, error.problem, LOST)
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def set_damaged_aside(self) -> None:
        """Set files aside that cannot be opened, because a single one makes SQL over the whole log fail."""
        for file in self.files():
            try:
                open_parquet(file)
            except DamageError as error:
                set_aside(file, self.folder, error.problem, LOST)
