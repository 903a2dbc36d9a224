"""A table with a header, read from one or several files, that knows the file and line of each row."""

import difflib
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.column_names import Names, Tiers, fold
from storage.datasets.csv_text import read_csv, read_header
from storage.datasets.dataset import Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.file_bytes import read_bytes
from storage.datasets.ids import canonical_ids, float_ids, missing_words
from storage.datasets.item_text_csv import read_lines
from storage.datasets.json_rows import is_json, read_json

PARQUET = b"PAR1"
THROUGH_A_FLOAT = (
    "went through a floating-point number, in which different long ids become equal; write text or integers"
)
# Index columns that pandas writes beside the data.
_INDEX_COLUMN = re.compile(r"|unnamed: ?\d+|__index_level_\d+__", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """Where the rows of one file are.

    Attributes:
        path: The file.
        unit: "line" of a text file, "row" of a parquet or JSON file.
        lines: (rows,) number of each row in the file, from 1.
        warnings: Texts about what looked unusual.
    """

    path: Path
    unit: str
    lines: np.ndarray
    warnings: Sequence[str] = ()


class Tabular:
    """The rows of one or several files. Get one from `read_tabular`.

    Attributes:
        frame: Known columns under their standard names, and further columns under their own, without blank lines. The
            columns of a CSV are all String, null if empty; those of a parquet file have their own types.
        further: Names of the further columns.
        written: Each column's name in the frame -> its name in the file.
    """

    def __init__(self, frame: pl.DataFrame, parts: Sequence[Part], names: Names, written: Mapping[str, str]):
        """Combine the rows of all files with the places that they came from."""
        self.frame = frame
        self.further = [column for column in frame.columns if column not in names]
        self.written = dict(written)
        self._names = names
        self._parts = list(parts)
        self._starts = np.cumsum([0] + [len(part.lines) for part in parts])

    @property
    def name(self) -> str:
        """The file's name, for notes; of several files the first one's, and their number."""
        others = len(self._parts) - 1
        return self._parts[0].path.name + (f" and {others:,} more file{'s' * (others > 1)}" if others else "")

    @property
    def path(self) -> Path:
        """The file, or the folder if there are several files."""
        first = self._parts[0].path
        return first if len(self._parts) == 1 else first.parent

    def part_paths(self) -> pl.Series:
        """Return the path of each row's file, (rows,)."""
        paths = [str(part.path) for part in self._parts]
        return pl.Series("part", np.repeat(paths, [len(part.lines) for part in self._parts]), dtype=pl.String)

    def adopt(self, column: str, name: str) -> None:
        """Give a further column a standard name."""
        self.frame = self.frame.rename({column: name})
        self.further.remove(column)
        self.written[name] = self.written.pop(column, column)

    def join(self, columns: Sequence[str], name: str) -> None:
        """Replace further columns of text by one column with a standard name, which has their values with blanks between."""
        joined = pl.concat_str(columns, separator=" ", ignore_nulls=True)
        self.frame = self.frame.with_columns(pl.when(joined != "").then(joined).alias(name)).drop(columns)
        self.further = [column for column in self.further if column not in columns]
        self.written[name] = columns[0]

    def where(self, rows: Iterable[int]) -> list[str]:
        """Return the place of each row, for messages: file and line (CSV) or file and row (parquet, from 1)."""
        places = []
        for row in rows:
            number = int(np.searchsorted(self._starts, row, side="right")) - 1
            part = self._parts[number]
            places.append(f"{part.path}, {part.unit} {part.lines[row - self._starts[number]]}")
        return places

    def texts(self, name: str, problems: Problems, notes: list[Note]) -> pl.Series:
        """Return a column as text without blanks at its ends; null if it is empty or a word such as `nan`.

        Args:
            name: The column's name. A column that the table lacks is all null.
            problems: Problems are added here: a type that cannot be text.
            notes: A note about words such as `nan` is added here.
        """
        strings = self._strings(name, problems)
        if strings is None:
            return pl.Series(name, [None] * self.frame.height, dtype=pl.String)
        text = strings.str.strip_chars()
        words = missing_words(text)
        if words.any():
            example = text.filter(words)[0]
            notes.append(
                Note("info", f"{self.name}: {words.sum():,} values of {name} such as {example!r} count as missing")
            )
        return pl.select(pl.when((text != "") & ~words).then(text).alias(name)).to_series()

    def ids(self, name: str, problems: Problems, notes: list[Note]) -> pl.Series:
        """Return a column of ids, in canonical form (see `ids.canonical_id`).

        Args:
            name: The column's name.
            problems: Problems are added here: a row without an id, an id that went through a floating-point number.
            notes: A warning about ids that were changed is added here.
        """
        strings = self._strings(name, problems, ids=True)
        if strings is None:
            return pl.Series(name, [None] * self.frame.height, dtype=pl.String)
        ids, example = canonical_ids(strings)
        if example is not None:
            notes.append(
                Note(
                    "warning",
                    f"{self.name}: some {name} ids hold invisible characters, unusual blanks or decomposed letters, which "
                    f"are removed or composed, first {example!a}",
                )
            )
        floats = np.flatnonzero(float_ids(ids).to_numpy())
        if len(floats):
            problems.add(
                self.where(floats[:1])[0],
                f"{name} is {ids[int(floats[0])]!r}: {len(floats):,} ids {THROUGH_A_FLOAT}",
            )
        words = np.flatnonzero(missing_words(ids).to_numpy())[:LOCATED]
        for place, row in zip(self.where(words), words):
            problems.add(place, f"{name} is {ids[int(row)]!r}, which means a missing value; every row needs an id")
        self.report_empty(ids.alias(name), problems)
        return ids

    def ids_or(self, item: str | None, problems: Problems, notes: list[Note]) -> pl.Series:
        """Return the column `item` as `ids` does, or one item for all rows.

        Args:
            item: The item of every row, in a table of one item. None: the table's column names it.
            problems: Problems are added here.
            notes: A warning about ids that were changed is added here.
        """
        if item is None:
            return self.ids("item", problems, notes)
        return pl.repeat(item, self.frame.height, dtype=pl.String, eager=True).alias("item")

    def tell_further(self, notes: list[Note], *, used: Collection[str] = ()) -> None:
        """Add a note about the further columns, and a warning about those whose name is nearly a known one.

        Args:
            notes: The note is added to this list.
            used: Further columns that the caller reads.
        """
        unused = [column for column in self.further if column not in used]
        if not unused:
            return
        known = [spelling for spellings in self._names.values() for spelling in spellings]
        meant = {column: difflib.get_close_matches(column.lower(), known, n=1, cutoff=0.75) for column in unused}
        guesses = [f"{column!r} (is {near[0]} meant?)" for column, near in meant.items() if near]
        text = f"{self.name}: further columns, which no stage reads: {', '.join(unused)}"
        notes.append(Note("warning", f"{text}; {', '.join(guesses)}") if guesses else Note("info", text))

    def report_empty(self, column: pl.Series, problems: Problems) -> None:
        """Add a problem for each null of a column that has one value per row of the frame."""
        for place in self.where(np.flatnonzero(column.is_null().to_numpy())[:LOCATED]):
            problems.add(place, f"{column.name} is empty")

    def _strings(self, name: str, problems: Problems, *, ids: bool = False) -> pl.Series | None:
        """Return a column as text, all null if the table lacks it. For a type that cannot be text, add a problem.

        Returns:
            The text; None if there was a problem.
        """
        if name not in self.frame.columns:
            return pl.Series(name, [None] * self.frame.height, dtype=pl.String)
        column = self.frame[name]
        if column.dtype == pl.String:
            return column
        if column.dtype.is_nested() or column.dtype == pl.Object:
            problems.add(self.path, f"{name} is {column.dtype}: a column of text or integers is allowed")
            return None
        if column.dtype.is_float() or (column.dtype.is_decimal() and column.dtype.scale):
            if ids:
                problems.add(self.path, f"{name} is {column.dtype}: its ids {THROUGH_A_FLOAT}")
                return None
            whole = column.cast(pl.Int64, strict=False)
            if (whole == column).fill_null(True).all():
                return whole.cast(pl.String)  # pandas converts integers to floats if one of them is missing
        return column.cast(pl.String, strict=False)


def read_tabular(
    paths: Path | Sequence[Path],
    *,
    names: Names,
    required: tuple[str, ...],
    notes: list[Note],
    tiers: Tiers | None = None,
    why: str = "",
) -> Tabular:
    """Read CSV, JSON lines or parquet files with named columns, and concatenate their rows.

    Args:
        paths: The files, each compressed or not.
        names: Standard name -> allowed spellings, compared without case, blanks and punctuation. Any other column is kept
            under its own name.
        required: Standard names of the columns that every file must have.
        notes: Notes about what was assumed are added to this list.
        tiers: Standard name -> further spellings, for tables in which no column has an allowed one (`column_names`).
        why: Explanation that is added to the error about a missing column.

    Raises:
        DatasetError: A file is empty or cannot be read, has a column twice or two that may be the same, or lacks a required
            one.
    """
    paths = [paths] if isinstance(paths, Path) else list(paths)
    names = {**names, **{name: () for name in tiers or {} if name not in names}}
    frames, parts, problems = [], [], Problems()
    written: dict[str, str] = {}
    told: dict[str, None] = {}
    for path in paths:
        try:
            frame, part, columns, separator = _read_part(path, names, tiers or {}, required, why)
        except DatasetError as error:
            problems.found += error.problems
            continue
        notes += [Note("warning", note) for note in part.warnings]
        frames.append(frame)
        parts.append(part)
        written.update(columns)
        if separator not in (None, ",", {".tsv": "\t"}.get(path.suffix.lower())):
            told[f"the separator is {separator!r}"] = None
        for name, column in columns.items():
            if any(fold(column) in map(fold, tier) for tier in (tiers or {}).get(name, ())) and fold(column) != fold(
                name
            ):
                told[f"{column!r} is read as {name}"] = None
    problems.raise_if_any()
    try:
        whole = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DatasetError(
            [f"{paths[0].parent}: {paths[0].name} and its other parts have columns of different types: {error}"]
        ) from error
    table = Tabular(whole, parts, names, written)
    if told:
        notes.append(Note("info", f"{table.name}: {', '.join(told)}"))
    return table


def read_headless(path: Path, columns: Sequence[str], separator: str, notes: list[Note], problems: Problems) -> Tabular:
    """Read a text file without a header whose lines have one field per column.

    Args:
        path: The file, possibly compressed.
        columns: Names of the columns.
        separator: Text between the fields.
        notes: A warning about lines with another number of fields, which are left out, is added to this list.
        problems: Problems are added here: a file that cannot be read.

    Returns:
        The table; all columns are String, null if empty.
    """
    rows, lines, wrong = [], [], []
    for number, line in enumerate(read_lines(path, problems), start=1):
        fields = [field.strip() or None for field in line.split(separator)]
        if len(fields) == len(columns):
            rows.append(fields)
            lines.append(number)
        elif line.strip():
            wrong.append(number)
    if wrong:
        notes.append(
            Note(
                "warning",
                f"{path.name}: {len(wrong):,} lines are not {separator.join(columns)!r} and are left out, "
                f"first: line {wrong[0]}",
            )
        )
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    names = {column: (column,) for column in columns}
    return Tabular(frame, [Part(path, "line", np.array(lines, dtype=np.int64))], names, {})


def _read_part(
    path: Path, names: Names, tiers: Tiers, required: tuple[str, ...], why: str
) -> tuple[pl.DataFrame, Part, dict[str, str], str | None]:
    """Return a file's rows, its part, the written name of each column, and the separator of a CSV."""
    spelled = {fold(spelling): name for name, spellings in names.items() for spelling in spellings}
    loose = {fold(spelling): name for name in tiers for tier in tiers[name] for spelling in tier}
    separator = None
    warnings: list[str] = []
    if _is_parquet(path):
        frame, unit = _read_parquet(path), "row"
        columns, lines, place = frame.columns, np.arange(1, frame.height + 1), str(path)
    elif is_json(path):
        frame, unit = read_json(path), "row"
        columns, lines, place = frame.columns, np.arange(1, frame.height + 1), str(path)
    else:
        known = loose | spelled
        items = {spelling for spelling, name in known.items() if name == "item"}
        try:
            text = read_csv(path, names=known, item_names=items)
        except DatasetError as error:
            if required and error.problems == [f"{path}: the file is empty"]:
                error = DatasetError([f"{path}: the file is empty; a header with {', '.join(required)} is needed"])
            raise error from None
        frame, columns, lines, unit = text.frame, text.header, text.lines, "line"
        place, separator, warnings = f"{path}, line 1", text.separator, text.notes

    renamed = _standard_names(place, columns, spelled, names, tiers, required, why)
    frame = frame.select(pl.nth(number).alias(name) for number, name in renamed.items())
    if unit == "line":
        frame = frame.with_columns(pl.all().str.strip_chars())
        frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
        blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if blank.any():
            frame, lines = frame.filter(~blank), lines[~blank.to_numpy()]
    written = {name: columns[number].strip() for number, name in renamed.items()}
    return frame, Part(path, unit, lines, warnings), written, separator


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(read_bytes(path)))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DatasetError([f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}"]) from error


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns, as they are written.

    Raises:
        DatasetError: The file cannot be read.
    """
    if _is_parquet(path):
        return _read_parquet(path).columns
    if is_json(path):
        return read_json(path).columns
    return read_header(path)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET or path.suffix.lower() in (".parquet", ".pq")


def _standard_names(
    place: str,
    columns: Sequence[str],
    spelled: Mapping[str, str],
    names: Names,
    tiers: Tiers,
    required: tuple[str, ...],
    why: str,
) -> dict[int, str]:
    """Return position -> name of each column, without index columns that pandas wrote."""
    renamed: dict[int, str] = {}
    problems = Problems()
    for number, column in enumerate(columns):
        name = spelled.get(fold(column))
        if name is None and _INDEX_COLUMN.fullmatch(column.strip()):
            continue
        name = name or column.strip()
        if name in renamed.values():
            again = "" if column.strip().lower() == name else f", the second time as {column.strip()!r}"
            problems.add(place, f"column {name} is given twice{again}; rename or remove one")
        renamed[number] = name
    for name, numbers in _by_tiers(columns, renamed, names, tiers).items():
        if len(numbers) > 1:
            both = " and ".join(repr(columns[number].strip()) for number in numbers)
            problems.add(place, f"columns {both} may each be {name}; rename the one that is meant to {name}")
        renamed[numbers[0]] = name
    known = set(renamed.values()) & set(names)
    if not known and all(column.strip().lstrip("-").isdigit() for column in columns):
        raise DatasetError([f"{place}: there is no header; the first line must name {', '.join(required)}"])
    allowed = "; ".join(
        f"{name} ({', '.join(spellings)})" if len(spellings) > 1 else name for name, spellings in names.items()
    )
    for name in required:
        if name not in known:
            problems.add(place, f"no column {name} among {', '.join(columns)}{why}; allowed are {allowed}")
    problems.raise_if_any()
    return renamed


def _by_tiers(columns: Sequence[str], renamed: Mapping[int, str], names: Names, tiers: Tiers) -> dict[str, list[int]]:
    """Return the positions of the columns that stand for each standard name that no column has."""
    free = {fold(columns[number]): number for number, name in renamed.items() if name not in names}
    found: dict[str, list[int]] = {}
    for name in tiers:
        if name in renamed.values():
            continue
        for tier in tiers[name]:
            numbers = [free[spelling] for spelling in map(fold, tier) if spelling in free]
            if numbers:
                found[name] = sorted(set(numbers))
                free = {spelling: number for spelling, number in free.items() if number not in numbers}
                break
    return found
