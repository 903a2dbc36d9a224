"""The immutable parquet parts of a stage, and which row of which part is current.

    {stage}/parts/{generation}/{layout}/{number}-{random}.parquet

A part holds the state and payload columns of about a hundred videos and never changes. `layout` is a hash of the payload's
schema, so all files in one such folder have the same columns. Compaction starts a new generation and retires the old ones.
No lock is needed: a part appears by a rename, and of an item's rows in all parts the one with the highest `commit` counts.
"""

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.checked_parquet import intact_row_groups, open_parquet, read_rows, read_table, write_parquet
from storage.damage import DamageError, set_aside
from storage.durable import explain, flush, make_folder, ordered_name, scratch_name, write_text, written_beside
from storage.hashing import content_hash
from storage.remote.connection import mirror_of
from storage.rows import STATE
from storage.state_cache import marks_of, recall, remember

OPEN = "open"
RETIRED = "retired"
EMPTY = f"{0:020d}-empty.parquet"


def is_generation_mark(path: str) -> bool:
    """Return whether a file says which generations commits go to: a commit is void where another worker changed that."""
    return path.endswith((f"/{OPEN}", f"/{RETIRED}"))


def layout_of(payload: pa.Schema) -> str:
    """Return the name of the folder for parts with this payload: a hash of the schema."""
    return content_hash([f"{field.name}: {field.type} {field.metadata}" for field in payload])[:12]


@dataclass(frozen=True)
class ReservedPart:
    """A part that is not written yet: its commit number and the name of its file."""

    number: int
    name: str


@dataclass(frozen=True)
class Parts:
    """The parts of a stage.

    Attributes:
        folder: The stage's folder.
        payload: The columns in addition to the state.
    """

    folder: Path
    payload: pa.Schema

    @property
    def layout(self) -> str:
        """Name of the folder for new parts; see `layout_of`."""
        return layout_of(self.payload)

    @property
    def schema(self) -> pa.Schema:
        """The columns of a part: the state, then the payload."""
        return pa.schema([*STATE, *self.payload])

    def generations(self, *, retired: bool = False) -> list[Path]:
        """Return the folders of the generations in service, or of the retired ones, oldest first."""
        root = self.folder / "parts"
        folders = root.iterdir() if root.is_dir() else []
        found = sorted(folder for folder in folders if folder.name.isdigit() and folder.is_dir())
        return [folder for folder in found if (folder / RETIRED).exists() == retired]

    def add_generation(self) -> Path:
        """Create a new generation. Readers see it at once; commits go to it only after `open_generation`."""
        root = self.folder / "parts"
        make_folder(root)
        while True:
            newest = max((int(folder.name) for folder in root.iterdir() if folder.name.isdigit()), default=0)
            generation = root / f"{newest + 1:06d}"
            try:
                generation.mkdir()
            except FileExistsError:
                continue
            flush(root)
            self._seed(generation)
            return generation

    def open_generation(self, generation: Path) -> None:
        """Direct all further commits to this generation."""
        write_text(generation / OPEN, "commits go to the newest generation that is open\n")

    def current_generation(self) -> Path:
        """Return the generation that commits go to, and create the first one if there is none."""
        found = [generation for generation in self.generations() if (generation / OPEN).exists()]
        if not found:
            found = [self.add_generation()]
            self.open_generation(found[0])
        return found[-1]

    def seed(self) -> None:
        """Write an empty part of this layout if there is no part yet, so that views over the parts have columns."""
        try:
            self.current_generation()
            for generation in self.generations():
                self._seed(generation)
        except OSError as error:
            raise explain(error, self.folder) from error

    def _seed(self, generation: Path) -> None:
        empty = generation / self.layout / EMPTY
        if not _holds_parquet(empty.parent) or (empty.exists() and not is_whole(empty)):
            with written_beside(empty) as scratch:
                write_parquet(scratch, self.schema.empty_table())

    def next_commit(self) -> tuple[int, str]:
        """Return the commit number and the file name of a new part. Numbers increase even if the clock was set back."""
        layouts = [layout for generation in self.generations() for layout in generation.iterdir() if layout.is_dir()]
        return max(
            (ordered_name(layout, ".parquet", also=self._names_in(layout)) for layout in layouts),
            default=ordered_name(self.folder, ".parquet"),
        )

    def reserve(self, count: int) -> list[ReservedPart]:
        """Return parts whose numbers follow each other, for writers that commit in any order."""
        first, _ = self.next_commit()
        names = [(number, f"{number:020d}-{uuid.uuid4().hex[:12]}.parquet") for number in range(first, first + count)]
        return [ReservedPart(*name) for name in names]

    def find(self, name: str) -> Path | None:
        """Return the file of a part with this layout, or None if there is none. It may be in the bucket alone."""
        for generation in self.generations():
            layout = generation / self.layout
            if (layout / name).exists() or name in self._names_in(layout):
                return layout / name
        return None

    def _names_in(self, layout: Path) -> list[str]:
        """Return the names of parts that are in the bucket alone."""
        return mirror_of(self.folder).names(str(layout.relative_to(self.folder)))

    def add(self, columns: Sequence[pa.Array], name: str, *, keep_first: bool = False) -> None:
        """Write one part.

        Args:
            columns: All columns of `schema`, in this order.
            name: The file's name, from `next_commit` or `reserve`.
            keep_first: Whether a part of this name that another process wrote stays, and this one is dropped.

        Raises:
            StoreError: The disk is full or read-only.
        """
        table = pa.Table.from_arrays(list(columns), schema=self.schema)
        try:
            generation = self.current_generation()
            path = generation / self.layout / name
            with written_beside(path, keep_first=keep_first) as scratch:
                write_parquet(scratch, table)
            # Compaction may have opened a new generation and listed the old one just before the rename. It then missed
            # this part, which must therefore be linked into the new generation too. A row in both counts once.
            while (newest := self.current_generation()) != generation:
                generation = newest
                target = generation / self.layout
                make_folder(target)
                link = scratch_name(target)
                os.link(path, link)
                link.rename(target / name)
                flush(target)
        except OSError as error:
            raise explain(error, self.folder) from error

    def files(self, generations: Sequence[Path] | None = None) -> list[Path]:
        """Return the files of all parts, empty ones included; by default of the generations in service."""
        generations = self.generations() if generations is None else generations
        return sorted(file for generation in generations for file in generation.glob("*/*.parquet"))

    def states(self, files: Sequence[Path] | None = None) -> pl.DataFrame:
        """Return the current row of every item, including tombstones of dropped items.

        No payload column is read, and each part only once per process. A damaged part is set aside, with a warning.

        Args:
            files: The parts to read, by default all.

        Returns:
            The columns of STATE, `part` (the file's path) and `row` (the row's number in the file).
        """
        if files is not None:
            return _newest([self._states_of(file) for file in files if file.name != EMPTY])
        mirror_of(self.folder).fetch()
        marks = marks_of(file for file in self.files() if file.name != EMPTY)
        read, known = recall(self.folder, marks)
        if known is not None and len(read) == len(marks):
            return known
        new = [self._states_of(file) for file in sorted(marks.keys() - read)]
        current = _newest([known, *new])
        if all(frame is not None for frame in new):
            remember(self.folder, marks, current)
        return current

    def _states_of(self, file: Path) -> pl.DataFrame | None:
        """Return the states of one part; None if it is gone or no row of it is intact."""
        try:
            table = read_table(file, STATE)
        except FileNotFoundError:
            return None  # its generation was removed since it was listed; the later generation has its rows
        except DamageError as error:
            rescued = self._set_aside(file, error)
            return None if rescued is None else self._states_of(rescued)
        return _placed(table, str(file))

    def read(self, states: pl.DataFrame, columns: Sequence[str]) -> pa.Table:
        """Return `item` and payload columns of some rows.

        Args:
            states: The rows, from `states()`, in the order of the result.
            columns: The payload columns to read.

        Raises:
            DamageError: A part is damaged. It was set aside, and its rows count as not computed.
        """
        schema = pa.schema([STATE.field("item"), *(self.payload.field(column) for column in columns)])
        numbered = states.select("part", "row").with_row_index("position")
        tables, positions = [], []
        for (part,), rows in numbered.group_by(["part"], maintain_order=True):
            wanted = rows.sort("row")
            tables.append(self.read_part(Path(part), wanted["row"].to_list(), schema))
            positions.append(wanted["position"])
        if not tables:
            return schema.empty_table()
        table = pa.concat_tables(tables)
        order = pl.concat(positions).arg_sort().to_numpy()
        return table.take(order) if (order[1:] < order[:-1]).any() else table

    def read_part(self, part: Path, rows: Sequence[int], schema: pa.Schema | None) -> pa.Table:
        """Return some rows of one part.

        Args:
            part: The part's file.
            rows: Row numbers in ascending order.
            schema: The columns to read; None for all.

        Raises:
            DamageError: The part is damaged. It was set aside, and its rows count as not computed.
        """
        try:
            return read_rows(part, rows, schema)
        except DamageError as error:
            self._set_aside(part, error)
            done = "it was set aside, and the next run computes its rows again: run again"
            raise DamageError(part, error.problem, done) from error

    def _set_aside(self, part: Path, error: DamageError) -> Path | None:
        """Set a damaged part aside, after copying its intact rows to a new part.

        Returns:
            The new part; None if no row is intact.
        """
        mirror = mirror_of(self.folder)
        if mirror.is_remote:
            set_aside(part, self.folder, error.problem, "it is downloaded again")
            mirror.fetch()
            return part if part.exists() else None
        tables, rescued = intact_row_groups(part, STATE), None
        if tables:
            _, name = ordered_name(part.parent, ".parquet")
            rescued = part.parent / name
            with written_beside(rescued) as scratch:
                write_parquet(scratch, pa.concat_tables(tables))
        kept = sum(map(len, tables))
        done = f"{kept:,} of its rows are intact and stay; the next run computes the others again"
        set_aside(part, self.folder, error.problem, done)
        return rescued


def _placed(states: pa.Table, part: str) -> pl.DataFrame:
    return pl.from_arrow(states).with_row_index("row").with_columns(part=pl.lit(part))


def _newest(frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame:
    """Return each item's most recently committed row, in the order of commits. None stands for a frame without rows."""
    frames = [frame for frame in frames if frame is not None]
    if not frames:
        return _placed(STATE.empty_table(), "")
    return pl.concat(frames).sort("commit", "part", "row").unique("item", keep="last", maintain_order=True)


def _holds_parquet(folder: Path) -> bool:
    """Return whether a folder has a visible parquet file; the listing ends at the first one."""
    try:
        with os.scandir(folder) as entries:
            return any(entry.name.endswith(".parquet") and not entry.name.startswith(".") for entry in entries)
    except FileNotFoundError:
        return False


def is_whole(part: Path) -> bool:
    """Return whether a part's footer can be read."""
    try:
        open_parquet(part)
    except DamageError:
        return False
    return True
