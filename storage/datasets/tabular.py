"""A CSV or parquet file with a header, read whole and fast; its lines are looked up only when something is wrong."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.errors import DatasetError, Problems

# Problems of one kind that are looked up in a file: more than a person mends by hand say nothing new.
LOCATED = 100


class Tabular:
    """A file's frame and where its rows lie.

    frame: columns renamed to the standard names, blank lines dropped; a CSV's columns are all String, with an empty
    field as null. `lines(rows)` gives the line (CSV) or row (parquet, from 1) of each row of the frame.
    """

    def __init__(self, path: Path, frame: pl.DataFrame, kept: np.ndarray):
        self.path = path
        self.frame = frame
        self.unit = "line" if path.suffix.lower() == ".csv" else "row"
        self._kept = kept  # (rows,) index in the file, counted from 0 without the header

    def lines(self, rows: np.ndarray) -> list[int]:
        if not len(rows):
            return []  # nothing wrong: the common case, in which the file is not read again
        records = self._kept[rows]
        if self.unit == "row":
            return [int(record) + 1 for record in records]
        wanted = set(records.tolist())
        found = {}
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            while not next(reader):  # blank lines may stand above the header
                pass
            line = reader.line_num + 1
            for record, _ in enumerate(reader):
                if record in wanted:
                    found[record] = line
                    if len(found) == len(wanted):
                        break
                line = reader.line_num + 1
        return [found[record] for record in records.tolist()]


def _explain(path: Path, error: Exception) -> DatasetError:
    """Finds the lines that polars could not read."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = raw.count(b"\n", 0, wrong.start) + 1
        return DatasetError([f"{path}, line {line}: not UTF-8 (byte 0x{raw[wrong.start]:02x})"])
    problems = Problems()
    reader = csv.reader(text.splitlines(keepends=True))
    width = len(next(reader))
    for fields in reader:
        if fields and len(fields) > width:
            problems.add(path, f"{len(fields)} fields, the header has {width}", line=reader.line_num)
    return DatasetError(problems.found or [f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}"])


def read_tabular(
    path: Path, *, names: Mapping[str, tuple[str, ...]], required: tuple[str, ...], why: str = ""
) -> Tabular:
    """Reads a CSV (UTF-8, BOM and CRLF allowed) or parquet file with named columns.

    names: standard name -> the spellings allowed for it (compared in lower case). Raises DatasetError for an empty
    file, a column that is not named there, one given twice, or a required one that is absent (`why` is added to that).
    """
    if path.suffix.lower() == ".csv":
        try:
            frame = pl.read_csv(path, infer_schema=False, low_memory=False, glob=False)
        except pl.exceptions.NoDataError:
            raise DatasetError([f"{path}: the file is empty; a header with {', '.join(required)} is needed"]) from None
        except pl.exceptions.ComputeError as error:
            raise _explain(path, error) from error
    else:
        try:
            frame = pl.read_parquet(path, glob=False)
        except (pl.exceptions.ComputeError, OSError) as error:
            raise DatasetError([f"{path}: cannot be read as parquet: {error}"]) from error

    allowed = "; ".join(
        f"{name} ({', '.join(spellings)})" if len(spellings) > 1 else name for name, spellings in names.items()
    )
    standard = {spelling: name for name, spellings in names.items() for spelling in spellings}
    renamed: dict[str, str] = {}
    problems = Problems()
    for column in frame.columns:
        cleaned = column.strip().lower()
        name = standard.get(cleaned)
        if name is None and cleaned.endswith(tuple(f"_duplicated_{i}" for i in range(len(frame.columns)))):
            problems.add(path, f"column {cleaned.rsplit('_duplicated_', 1)[0]!r} is given twice", line=1)
        elif name is None:
            problems.add(path, f"unknown column {column!r}; allowed are {allowed}", line=1)
        elif name in renamed.values():
            problems.add(path, f"column {name} is given twice, as {column!r} too", line=1)
        else:
            renamed[column] = name
    if not renamed and all(column.strip().lstrip("-").isdigit() for column in frame.columns):
        raise DatasetError([f"{path}, line 1: there is no header; the first line must name {', '.join(required)}"])
    for name in required:
        if name not in renamed.values():
            given = ", ".join(frame.columns)
            problems.add(path, f"no column {name} among {given}{why}; allowed are {allowed}", line=1)
    problems.raise_if_any()

    frame = frame.rename(renamed)
    if path.suffix.lower() == ".csv":
        frame = frame.with_columns(pl.all().str.strip_chars())
        frame = frame.with_columns(pl.when(pl.all() != "").then(pl.all()))
        blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
        kept = np.flatnonzero(~blank.to_numpy())
        frame = frame.filter(~blank)
    else:
        kept = np.arange(frame.height)
    return Tabular(path, frame, kept)


def report_empty(file: Tabular, columns: pl.DataFrame, problems: Problems) -> None:
    """Adds a problem for every null in the columns, which have the rows of the file's frame."""
    for column in columns:
        rows = np.flatnonzero(column.is_null().to_numpy())[:LOCATED]
        for line in file.lines(rows):
            problems.add(file.path, f"{column.name} is empty", line=line, unit=file.unit)
