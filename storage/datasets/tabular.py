"""A table with a header in one or several CSV or parquet files, read whole and fast, and where its rows lie."""

import difflib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.csv_text import fold, read_csv
from storage.datasets.dataset import Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.file_bytes import read_bytes
from storage.datasets.ids import canonical_ids, float_ids, missing_words

PARQUET = b"PAR1"
THROUGH_A_FLOAT = "went through a floating-point number, which makes one of several long ones; write text or integers"
# An index that pandas wrote beside the data.
_INDEX_COLUMN = re.compile(r"|unnamed: ?\d+|__index_level_\d+__", re.IGNORECASE)


@dataclass(frozen=True)
class _Part:
    path: Path
    unit: str  # "line" of a CSV, "row" of a parquet file
    lines: np.ndarray  # (rows,)


class Tabular:
    """The rows of one or several files.

    frame: known columns under their standard names, then further ones under their own; blank lines dropped. A CSV's columns
    are all String, with an empty field as null; a parquet file's are as they were written.
    further: names of the further columns.
    """

    def __init__(self, frame: pl.DataFrame, further: Sequence[str], parts: Sequence[_Part]):
        self.frame = frame
        self.further = list(further)
        self._parts = list(parts)
        self._starts = np.cumsum([0] + [len(part.lines) for part in parts])

    @property
    def name(self) -> str:
        """The file's name, for notes."""
        others = len(self._parts) - 1
        return self._parts[0].path.name + (f" and {others:,} more file{'s' * (others > 1)}" if others else "")

    @property
    def path(self) -> Path:
        """The only file, or the folder of the files."""
        first = self._parts[0].path
        return first if len(self._parts) == 1 else first.parent

    def where(self, rows: Iterable[int]) -> list[str]:
        """Name each row's place: file and line (CSV) or row (parquet, from 1)."""
        places = []
        for row in rows:
            number = int(np.searchsorted(self._starts, row, side="right")) - 1
            part = self._parts[number]
            places.append(f"{part.path}, {part.unit} {part.lines[row - self._starts[number]]}")
        return places

    def texts(self, name: str, problems: Problems, notes: list[Note]) -> pl.Series:
        """Return a column as text without blanks around it; null if it is absent, empty, or a word such as `nan`."""
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

        A row without an id is a problem, and so is an id that went through a floating-point number.
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
                    f"are taken out or composed, first {example!a}",
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
            problems.add(place, f"{name} is {ids[int(row)]!r}, which stands for a missing value; every row needs an id")
        self.report_empty(ids.alias(name), problems)
        return ids

    def report_empty(self, column: pl.Series, problems: Problems) -> None:
        """Add a problem for every null in a column with the rows of the frame."""
        for place in self.where(np.flatnonzero(column.is_null().to_numpy())[:LOCATED]):
            problems.add(place, f"{column.name} is empty")

    def _strings(self, name: str, problems: Problems, *, ids: bool = False) -> pl.Series | None:
        """Return a column as text, null if absent; None, and a problem, for a type that is none of text."""
        if name not in self.frame.columns:
            return pl.Series(name, [None] * self.frame.height, dtype=pl.String)
        column = self.frame[name]
        if column.dtype == pl.String:
            return column
        if column.dtype.is_nested() or column.dtype == pl.Object:
            problems.add(self.path, f"{name} is {column.dtype}: a column of text, or of integers, is allowed")
            return None
        if column.dtype.is_float() or (column.dtype.is_decimal() and column.dtype.scale):
            if ids:
                problems.add(self.path, f"{name} is {column.dtype}: its ids {THROUGH_A_FLOAT}")
                return None
            whole = column.cast(pl.Int64, strict=False)
            if (whole == column).fill_null(True).all():
                return whole.cast(pl.String)  # integers that pandas made floats of for the sake of a missing one
        return column.cast(pl.String, strict=False)


def read_tabular(
    paths: Path | Sequence[Path],
    *,
    names: Mapping[str, tuple[str, ...]],
    required: tuple[str, ...],
    notes: list[Note],
    why: str = "",
) -> Tabular:
    """Read CSV or parquet files with named columns, one below the other.

    Args:
        paths: the files, each compressed or not.
        names: standard name -> the spellings allowed for it, compared without case, blanks, hyphens and underscores. Any
            other column is kept under its own name, with a note.
        required: standard names that every file must have.
        notes: receives what was found odd.
        why: added to the error about a column that is absent.

    Raises:
        DatasetError: a file that is empty or cannot be read, a column given twice, a required one that is absent.
    """
    paths = [paths] if isinstance(paths, Path) else list(paths)
    frames, parts, problems = [], [], Problems()
    for path in paths:
        try:
            frame, part = _read_part(path, names, required, notes, why)
        except DatasetError as error:
            problems.found += error.problems
        else:
            frames.append(frame)
            parts.append(part)
    problems.raise_if_any()
    try:
        whole = frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DatasetError([f"{paths[0].parent}: {paths[0].name} and its further parts do not fit: {error}"]) from error
    further = [column for column in whole.columns if column not in names]
    table = Tabular(whole, further, parts)
    if further:
        notes.append(Note(*_about_further(table, further, names)))
    return table


def _about_further(table: Tabular, further: Sequence[str], names: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    known = [spelling for spellings in names.values() for spelling in spellings]
    meant = {column: difflib.get_close_matches(column.lower(), known, n=1, cutoff=0.75) for column in further}
    guesses = [f"{column!r} (is {near[0]} meant?)" for column, near in meant.items() if near]
    text = f"{table.name}: further columns are kept aside, no stage reads them: {', '.join(further)}"
    return ("warning", f"{text}; {', '.join(guesses)}") if guesses else ("info", text)


def _read_part(
    path: Path, names: Mapping[str, tuple[str, ...]], required: tuple[str, ...], notes: list[Note], why: str
) -> tuple[pl.DataFrame, _Part]:
    standard = {fold(spelling): name for name, spellings in names.items() for spelling in spellings}
    with path.open("rb") as file:
        parquet = file.read(len(PARQUET)) == PARQUET
    if parquet or path.suffix.lower() in (".parquet", ".pq"):
        frame, unit = _read_parquet(path), "row"
        columns, lines, place = frame.columns, np.arange(1, frame.height + 1), str(path)
    else:
        items = {spelling for spelling, name in standard.items() if name == "item"}
        try:
            text = read_csv(path, names=standard, item_names=items)
        except DatasetError as error:
            if error.problems == [f"{path}: the file is empty"]:
                error = DatasetError([f"{path}: the file is empty; a header with {', '.join(required)} is needed"])
            raise error from None
        notes += [Note("warning", note) for note in text.notes]
        frame, columns, lines, unit = text.frame, text.header, text.lines, "line"
        place = f"{path}, line 1"

    chosen = _standard_names(place, columns, standard, names, required, why)
    frame = frame.select(pl.nth(number).alias(name) for number, name in chosen.items())
    if unit == "line":
        frame = frame.with_columns(pl.all().str.strip_chars())
        frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
        blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if blank.any():
            frame, lines = frame.filter(~blank), lines[~blank.to_numpy()]
    return frame, _Part(path, unit, lines)


def _read_parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(io.BytesIO(read_bytes(path)))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DatasetError([f"{path}: cannot be read as parquet: {str(error).splitlines()[0]}"]) from error


def _standard_names(
    place: str,
    columns: Sequence[str],
    standard: Mapping[str, str],
    names: Mapping[str, tuple[str, ...]],
    required: tuple[str, ...],
    why: str,
) -> dict[int, str]:
    """Return the name of each column by its position, without the index that another program wrote."""
    chosen: dict[int, str] = {}
    problems = Problems()
    for number, column in enumerate(columns):
        name = standard.get(fold(column))
        if name is None and _INDEX_COLUMN.fullmatch(column.strip()):
            continue
        name = name or column.strip()
        if name in chosen.values():
            again = "" if column.strip().lower() == name else f", as {column.strip()!r} too"
            problems.add(place, f"column {name} is given twice{again}")
        chosen[number] = name
    known = set(chosen.values()) & set(names)
    if not known and all(column.strip().lstrip("-").isdigit() for column in columns):
        raise DatasetError([f"{place}: there is no header; the first line must name {', '.join(required)}"])
    allowed = "; ".join(
        f"{name} ({', '.join(spellings)})" if len(spellings) > 1 else name for name, spellings in names.items()
    )
    for name in required:
        if name not in known:
            problems.add(place, f"no column {name} among {', '.join(columns)}{why}; allowed are {allowed}")
    problems.raise_if_any()
    return chosen
