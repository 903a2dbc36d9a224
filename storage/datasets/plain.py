"""The plain form: `videos.csv|parquet`, `events.csv|parquet`, and media in `files/` or at `path`.

    videos   item[,path,title,category,author,published_at]   path relative to the folder
    events   item,time[,user,type]

Times are integer unix milliseconds or ISO-8601 (without a zone: UTC); in parquet also timestamps.
"""

from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.clock import read_times
from storage.datasets.dataset import (
    DEFAULT_EVENT_TYPE,
    VIDEOS,
    Dataset,
    Note,
    check_publication,
    clean_events,
    natural_order,
)
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.media_files import find_media
from storage.datasets.tabular import LOCATED, Tabular, read_tabular, report_empty

VIDEO_COLUMNS = {name: (name,) for name in VIDEOS.names()}
EVENT_COLUMNS = {name: (name,) for name in ("item", "user", "type", "time")}


def find_plain(folder: Path, name: str) -> list[Path]:
    """The files `name.csv` and `name.parquet` that are there."""
    return [path for path in (folder / f"{name}.csv", folder / f"{name}.parquet") if path.is_file()]


def read_plain(folder: Path) -> Dataset:
    """Reads a folder in the plain form. Raises DatasetError, with everything that is wrong at once."""
    problems = Problems()
    notes: list[Note] = []
    for name in ("videos", "events"):
        found = find_plain(folder, name)
        if not found:
            problems.add(folder, f"no {name}.csv or {name}.parquet; the plain form needs both videos and events")
        if len(found) > 1:
            problems.add(folder, f"{found[0].name} and {found[1].name} are both there; one is allowed")
    problems.raise_if_any()
    videos = events = None
    try:
        videos = _read_videos(folder, find_plain(folder, "videos")[0], problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    events_file = find_plain(folder, "events")[0]
    try:
        events = _read_events(events_file, problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    media = find_media(folder / "files", problems) if (folder / "files").is_dir() else {}
    problems.raise_if_any()

    items = natural_order([*videos["item"], *media, *events["item"].unique()])
    videos = pl.DataFrame({"item": items}, schema={"item": pl.String}).join(
        videos, on="item", how="left", maintain_order="left"
    )
    in_files = pl.Series([media.get(item) for item in items], dtype=pl.String)
    videos = videos.with_columns(path=pl.coalesce("path", in_files)).select(VIDEOS.names()).cast(VIDEOS)
    absent = videos["path"].null_count()
    if absent:
        notes.append(Note("info", f"{absent:,} of {len(items):,} items have no media file"))
    clean = clean_events(events, items, notes, source=events_file.name)
    check_publication(videos, clean, notes)
    return Dataset(folder, "plain", None, videos, clean, notes)


def _text_columns(file: Tabular, names: tuple[str, ...]) -> pl.DataFrame:
    """The columns as stripped strings (null where absent or empty); integers are allowed for ids, in parquet."""
    columns = []
    for name in names:
        if name in file.frame.columns:
            text = file.frame[name].cast(pl.String).str.strip_chars()
            columns.append(text.to_frame().select(pl.when(pl.col(name) != "").then(pl.col(name))).to_series())
        else:
            columns.append(pl.Series(name, [None] * file.frame.height, dtype=pl.String))
    return pl.DataFrame(columns)


def _read_videos(folder: Path, path: Path, problems: Problems, notes: list[Note]) -> pl.DataFrame:
    file = read_tabular(path, names=VIDEO_COLUMNS, required=("item",))
    frame = _text_columns(file, ("item", "path", "title", "category", "author"))
    report_empty(file, frame.select("item"), problems)
    twice = np.flatnonzero((~frame["item"].is_first_distinct() & frame["item"].is_not_null()).to_numpy())
    for line, row in zip(file.lines(twice[:LOCATED]), twice):
        problems.add(
            path,
            f"item {frame['item'][int(row)]} is given twice; one row an item is allowed",
            line=line,
            unit=file.unit,
        )
    if "published_at" in file.frame.columns:
        published = read_times(file, "published_at", problems, notes, iso=True)
    else:
        published = pl.Series([None] * frame.height, dtype=pl.Int64)
    absent = []
    located = []
    for relative in frame["path"]:
        file_path = (folder / relative).absolute() if relative else None
        if file_path and not file_path.is_file():
            absent.append(relative)
            file_path = None
        located.append(str(file_path) if file_path else None)
    if absent:
        notes.append(Note("warning", f"{path.name}: {len(absent):,} paths are not there, first: {absent[0]}"))
    return frame.with_columns(path=pl.Series(located, dtype=pl.String), published_at=published)


def _read_events(path: Path, problems: Problems, notes: list[Note]) -> pl.DataFrame:
    file = read_tabular(path, names=EVENT_COLUMNS, required=("item", "time"))
    if not file.frame.height:
        raise DatasetError([f"{path}: there are no events"])
    frame = _text_columns(file, ("item", "user", "type"))
    report_empty(file, frame.select("item"), problems)
    report_empty(file, file.frame.select("time"), problems)
    times = read_times(file, "time", problems, notes, iso=True)
    return frame.with_columns(pl.col("type").fill_null(DEFAULT_EVENT_TYPE), time=times)
