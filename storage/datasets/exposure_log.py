"""Readers of logs of exposures: which user was shown which item, when, and what followed.

    a table        user, item, time, and a flag of the click, a rating, or the time watched and the duration
    microvideo     train_data.csv, test_data.csv (THACIL's form): by position user, item, category, click, ..., time; and
                   optionally {train,test}_cover_image_feature.npy: row i is item i of that file

A table may have the columns of the Kuaishou samples (`user_id,video_id,time_ms,duration_ms,playing_time`) or of click logs
(`userId,itemId,showTime,click`); usual spellings are found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.column_names import EVENT_TIERS, Names, Tiers
from storage.datasets.dataset import Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.table_files import tables_in
from storage.datasets.tabular import Tabular, read_tabular

PARTS = ("train", "test")
FEATURES = "{part}_cover_image_feature.npy"
_NAMES: Names = {name: (name,) for name in ("user", "item", "time", "clicked", "rating", "watched", "duration")}
_TIERS: Tiers = {
    "item": (*EVENT_TIERS["item"], ("item_id", "news_id")),
    "user": EVENT_TIERS["user"],
    "time": (*EVENT_TIERS["time"], ("show_time", "exposure_time", "expose_time", "request_time")),
    "clicked": (("click", "is_click", "is_clicked", "effective_view", "wtd_effective_view"), ("label",)),
    "rating": (("score", "stars"),),
    "watched": (("playing_time", "play_duration", "watch_time", "played_ms"),),
    "duration": (("duration_ms", "video_duration", "photo_duration"),),
}


@dataclass(frozen=True)
class ExposureLog:
    """A log of exposures.

    Attributes:
        path: The file or folder.
        layout: "table" or "microvideo".
        frame: One row per exposure, in the order of the files: `user` str, `item` str, `time` int64, and `value` float64,
            larger for a better outcome. `time` is in the file's own unit; only its order is used where it is no unix time.
        measure: What `value` is: "click", "rating" or "share watched".
        click_from: The smallest value that counts as a click by default: 1 for a flag, 4 for a rating, 0.5 for the share
            watched.
        part: (exposures,) 0 where the publisher put the exposure into training, 1 for the test; None without such a division.
        categories: `item`, `category`; None if the log has none.
        features: Part -> (its items, one vector each); the arrays are memory-mapped. Empty if there are none.
        notes: Remarks on what was assumed.
    """

    path: Path
    layout: str
    frame: pl.DataFrame
    measure: str
    click_from: float
    part: np.ndarray | None = None
    categories: pl.DataFrame | None = None
    features: Mapping[str, tuple[list[str], np.ndarray]] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def open_exposure_log(path: str | Path) -> ExposureLog:
    r"""Read a log of exposures.

    Args:
        path: A table, or a folder with one table or with THACIL's files.

    Raises:
        DatasetError: The log cannot be used. The message names file, row, value and what is allowed.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = Path(folder.name, "log.csv")
        >>> _ = file.write_text("userId,itemId,showTime,click\na,x,5,1\na,y,6,0\n")
        >>> log = open_exposure_log(file)
        >>> log.measure, log.frame["value"].to_list()
        ('click', [1.0, 0.0])
        >>> folder.cleanup()
    """
    path = Path(path).expanduser().absolute()
    if not path.exists():
        raise DatasetError([f"{path}: no such file or folder"])
    if path.is_file():
        return _read_table(path)
    if (path / "train_data.csv").exists():
        return _read_microvideo(path)
    tables = tables_in(path)
    if len(tables) != 1:
        raise DatasetError(
            [
                f"{path}: a folder with one table or with train_data.csv and test_data.csv is allowed; it has "
                f"{', '.join(table.name for table in tables[:5]) or 'no table'}. Name the file itself"
            ]
        )
    return _read_table(tables[0])


def _read_table(path: Path) -> ExposureLog:
    notes, problems = list[Note](), Problems()
    table = read_tabular(path, names=_NAMES, tiers=_TIERS, required=("user", "item", "time"), notes=notes)
    measure, values, click_from = _outcome(table, problems)
    frame = pl.DataFrame(
        [
            table.ids("user", problems, notes),
            table.ids("item", problems, notes),
            _numbers(table, "time", problems).cast(pl.Int64, strict=False),
            values,
        ]
    )
    problems.raise_if_any()
    return ExposureLog(path, "table", frame, measure, click_from, notes=notes)


def _outcome(table: Tabular, problems: Problems) -> tuple[str, pl.Series, float]:
    """Return what says whether an exposure was clicked, its value per row, and the smallest value of a click."""
    columns = table.frame.columns
    if "clicked" in columns:
        values = _numbers(table, "clicked", problems, words={"true": "1", "false": "0"}).alias("value")
        for place, row in _first(table, ~values.is_in([0.0, 1.0]) & values.is_not_null()):
            problems.add(place, f"clicked is {values[row]:g}, must be 0 or 1")
        return "click", values, 1.0
    if "rating" in columns:
        return "rating", _numbers(table, "rating", problems).alias("value"), 4.0
    if "watched" in columns and "duration" in columns:
        watched, length = (_numbers(table, name, problems) for name in ("watched", "duration"))
        for place, row in _first(table, (length <= 0).fill_null(False)):
            problems.add(place, f"duration is {length[row]:g}, must be above 0")
        return "share watched", (watched / length).alias("value"), 0.5
    raise DatasetError(
        [
            f"{table.path}: nothing says whether an exposure was clicked; a column clicked (0 or 1), a column rating, or the "
            f"columns watched and duration are needed. It has {', '.join(columns)}"
        ]
    )


def _numbers(table: Tabular, name: str, problems: Problems, *, words: Mapping[str, str] | None = None) -> pl.Series:
    """Return a column as float64; a value that is missing or no number is a problem."""
    column = table.frame[name]
    text = column.cast(pl.String).str.strip_chars()
    if words:
        text = text.str.to_lowercase().replace(words)
    numbers = text.cast(pl.Float64, strict=False)
    for place, row in _first(table, numbers.is_null() | ~numbers.is_finite().fill_null(True)):
        problems.add(place, f"{name} is {'empty' if column[row] is None else repr(column[row])}, must be a number")
    return numbers.alias(name)


def _first(table: Tabular, wrong: pl.Series) -> list[tuple[str, int]]:
    rows = np.flatnonzero(wrong.to_numpy())[:LOCATED]
    return list(zip(table.where(rows), rows.tolist(), strict=True))


def _read_microvideo(folder: Path) -> ExposureLog:
    frames, categories, features = [], [], {}
    for number, part in enumerate(PARTS):
        path = folder / f"{part}_data.csv"
        if not path.exists():
            raise DatasetError([f"{path}: no such file; the log has train_data.csv and test_data.csv"])
        rows = _read_integers(path)
        # Both files count their items from 0, and no item is in both.
        item = pl.format(f"{part}_{{}}", pl.col("item"))
        features |= _read_vectors(folder / FEATURES.format(part=part), part, int(rows["item"].max() or 0))
        frames.append(
            rows.select(
                pl.col("user").cast(pl.String),
                item.alias("item"),
                "time",
                pl.col("clicked").cast(pl.Float64).alias("value"),
                pl.lit(number, pl.Int8).alias("part"),
            )
        )
        categories.append(rows.select(item.alias("item"), "category").unique("item", keep="first"))
    frame = pl.concat(frames)
    return ExposureLog(
        folder,
        "microvideo",
        frame.drop("part"),
        "click",
        1.0,
        part=frame["part"].to_numpy(),
        categories=pl.concat(categories),
        features=features,
    )


def _read_integers(path: Path) -> pl.DataFrame:
    """Return the columns user, item, category, clicked and time of one of THACIL's tables: the first four and the last."""
    try:
        header = pl.read_csv(path, n_rows=0).columns
        if len(header) < 5:
            raise DatasetError([f"{path}: {len(header)} columns; user, item, category, click, ..., time are needed"])
        chosen = [*header[:4], header[-1]]
        rows = pl.read_csv(path, columns=chosen, schema_overrides=dict.fromkeys(chosen, pl.Int64))
    except (pl.exceptions.PolarsError, OSError) as error:
        text = str(error).split("\n", 1)[0]
        raise DatasetError([f"{path}: a table of integers with a header is allowed ({text})"]) from error
    rows = rows.select(
        pl.col(given).alias(name) for given, name in zip(chosen, ("user", "item", "category", "clicked", "time"))
    )
    problems = Problems()
    for name, allowed in (("user", 0), ("item", 0), ("category", 0), ("time", None), ("clicked", 0)):
        bad = rows[name].is_null() | ((rows[name] < 0) if allowed is not None else False)
        bad = bad | (rows[name] > 1) if name == "clicked" else bad
        told = {"clicked": "0 or 1", "time": "an integer"}.get(name, "an integer of at least 0")
        for row in np.flatnonzero(bad.to_numpy())[:1].tolist():
            value = rows[name][row]
            problems.add(path, f"{name} is {'empty' if value is None else value}, must be {told}", line=row + 2)
    problems.raise_if_any()
    return rows


def _read_vectors(path: Path, part: str, last: int) -> dict[str, tuple[list[str], np.ndarray]]:
    if not path.exists():
        return {}
    try:
        vectors = np.load(path, mmap_mode="r")
    except ValueError as error:
        raise DatasetError([f"{path}: no array of numbers can be read from it ({error})"]) from error
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating) or len(vectors) <= last:
        raise DatasetError(
            [
                f"{path}: {vectors.dtype} {vectors.shape}; floating-point vectors (items, width) of at least "
                f"{last + 1:,} items are needed"
            ]
        )
    return {part: ([f"{part}_{number}" for number in range(len(vectors))], vectors)}
