"""The immutable parquet parts of one stage, and which row of which part is current.

    {stage}/parts/{generation}/{layout}/{number}-{random}.parquet

A part holds state and payload columns of some hundred videos and never changes. `layout` is a hash of the payload's
schema, so that files which are read together always agree. Compaction opens a new generation and retires the old ones
whole. Nothing here takes a lock: a part appears by a rename, and of an item's rows the one with the highest `commit`
counts, whatever part it lies in.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from storage.checked_parquet import intact_row_groups, open_parquet, read_rows, read_table, write_parquet
from storage.damage import DamageError, set_aside
from storage.durable import explain, flush_folder, ordered_name, scratch_name, write_text, written_beside
from storage.hashing import content_hash
from storage.rows import STATE
from storage.state_cache import marks_of, recall, remember

OPEN = "open"
RETIRED = "retired"
EMPTY = f"{0:020d}-empty.parquet"


def layout_of(payload: pa.Schema) -> str:
    return content_hash([f"{field.name}: {field.type} {field.metadata}" for field in payload])[:12]


@dataclass(frozen=True)
class Parts:
    """The parts of a stage. folder: the stage's folder; payload: the columns beside the state."""

    folder: Path
    payload: pa.Schema

    @property
    def layout(self) -> str:
        return layout_of(self.payload)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([*STATE, *self.payload])

    def generations(self, *, retired: bool = False) -> list[Path]:
        """Folders of the generations in service (or of those retired), oldest first."""
        root = self.folder / "parts"
        folders = root.iterdir() if root.is_dir() else []
        found = sorted(folder for folder in folders if folder.name.isdigit() and folder.is_dir())
        return [folder for folder in found if (folder / RETIRED).exists() == retired]

    def add_generation(self) -> Path:
        """Makes a new generation, which readers look at and no commit goes to before it is opened."""
        root = self.folder / "parts"
        root.mkdir(parents=True, exist_ok=True)
        while True:
            newest = max((int(folder.name) for folder in root.iterdir() if folder.name.isdigit()), default=0)
            generation = root / f"{newest + 1:06d}"
            try:
                generation.mkdir()
            except FileExistsError:
                continue
            flush_folder(root)
            self._seed(generation)
            return generation

    def open_generation(self, generation: Path) -> None:
        """From now on every commit goes to this generation."""
        write_text(generation / OPEN, "commits go to the newest generation that is open\n")

    def current_generation(self) -> Path:
        """The generation that commits go to."""
        found = [generation for generation in self.generations() if (generation / OPEN).exists()]
        if not found:
            found = [self.add_generation()]
            self.open_generation(found[0])
        return found[-1]

    def seed(self) -> None:
        """Makes sure there is a part of this layout, though without rows, so that views over the parts have columns."""
        try:
            self.current_generation()
            for generation in self.generations():
                self._seed(generation)
        except OSError as error:
            raise explain(error, self.folder) from error

    def _seed(self, generation: Path) -> None:
        empty = generation / self.layout / EMPTY
        if not any(empty.parent.glob("*.parquet")) or (empty.exists() and not is_whole(empty)):
            with written_beside(empty) as scratch:
                write_parquet(scratch, self.schema.empty_table())

    def next_commit(self) -> tuple[int, str]:
        """(commit number, file name) for a new part; numbers rise, also where the clock was set back."""
        layouts = [layout for generation in self.generations() for layout in generation.iterdir() if layout.is_dir()]
        return max(
            (ordered_name(layout, ".parquet") for layout in layouts), default=ordered_name(self.folder, ".parquet")
        )

    def add(self, columns: Sequence[pa.Array], name: str) -> None:
        """Writes one part from all columns of `schema`, in order."""
        table = pa.Table.from_arrays(list(columns), schema=self.schema)
        try:
            generation = self.current_generation()
            path = generation / self.layout / name
            with written_beside(path) as scratch:
                write_parquet(scratch, table)
            # Compaction may have opened a generation and listed this one just before the rename: then it missed this
            # part, which must stand in the new generation too. A row that is there twice counts once.
            while (newest := self.current_generation()) != generation:
                generation = newest
                target = generation / self.layout
                target.mkdir(exist_ok=True)
                link = scratch_name(target)
                os.link(path, link)
                link.rename(target / name)
                flush_folder(target)
        except OSError as error:
            raise explain(error, self.folder) from error

    def files(self, generations: Sequence[Path] | None = None) -> list[Path]:
        generations = self.generations() if generations is None else generations
        return sorted(file for generation in generations for file in generation.glob("*/*.parquet"))

    def states(self, files: Sequence[Path] | None = None) -> pl.DataFrame:
        """The current row of every item, tombstones included: STATE's columns, `part` (path) and `row` (place in it).

        Reads no payload column, and each part once in a process. A damaged part is set aside, with a warning.
        """
        if files is not None:
            return _newest([self._states_of(file) for file in files if file.name != EMPTY])
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
        """One part's states; None where there is nothing to read."""
        try:
            table = read_table(file, STATE)
        except FileNotFoundError:
            return None  # of a generation that was removed since it was listed: what replaced it was there before
        except DamageError as error:
            rescued = self._set_aside(file, error)
            return None if rescued is None else self._states_of(rescued)
        return _placed(table, str(file))

    def read(self, states: pl.DataFrame, columns: Sequence[str]) -> pa.Table:
        """The given rows of `states()`, in its order: `item` and the payload columns named.

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
        """The rows (rising) of one part, all columns without a schema; see `read`."""
        try:
            return read_rows(part, rows, schema)
        except DamageError as error:
            self._set_aside(part, error)
            done = "it was set aside, and the next run computes its rows again: run again"
            raise DamageError(part, error.problem, done) from error

    def _set_aside(self, part: Path, error: DamageError) -> Path | None:
        """Move a damaged part out of every reader's sight, after copying its intact rows to a new part, which is returned."""
        tables, rescued = intact_row_groups(part, STATE), None
        if tables:
            _, name = ordered_name(part.parent, ".parquet")
            rescued = part.parent / name
            with written_beside(rescued) as scratch:
                write_parquet(scratch, pa.concat_tables(tables))
        kept = sum(map(len, tables))
        done = f"{kept:,} of its rows are intact and stay, the others count as not computed: the next run computes them"
        set_aside(part, self.folder, error.problem, done)
        return rescued


def _placed(states: pa.Table, part: str) -> pl.DataFrame:
    return pl.from_arrow(states).with_row_index("row").with_columns(part=pl.lit(part))


def _newest(frames: Sequence[pl.DataFrame | None]) -> pl.DataFrame:
    """Of each item the row that was committed last, in the order of commits; None stands for a frame without rows."""
    frames = [frame for frame in frames if frame is not None]
    if not frames:
        return _placed(STATE.empty_table(), "")
    return pl.concat(frames).sort("commit", "part", "row").unique("item", keep="last", maintain_order=True)


def is_whole(part: Path) -> bool:
    """Whether a part has a footer that can be read."""
    try:
        open_parquet(part)
    except DamageError:
        return False
    return True
