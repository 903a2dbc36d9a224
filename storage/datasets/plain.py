"""A reader of the plain layout: tables `videos` and `events` (CSV or parquet), and media in `files/` or at `path`.

    videos   item[,path,title,category,author,published_at,...]   path relative to the folder
    events   item,time[,user,type,...]

Each table is one file, several files (`events-1.csv`, ...) or a folder of files, compressed or not. Times are integer unix
milliseconds or ISO-8601 (UTC if they have no zone); in parquet also timestamps.
"""

import unicodedata
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.clean_events import check_items, check_publication, clean_events
from storage.datasets.clock import read_times
from storage.datasets.dataset import DEFAULT_EVENT_TYPE, VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.media_files import find_media
from storage.datasets.table_files import find_table
from storage.datasets.tabular import Tabular, read_tabular

VIDEO_COLUMNS = {name: (name,) for name in VIDEOS.names()}
EVENT_COLUMNS = {name: (name,) for name in ("item", "user", "type", "time")}


def read_plain(folder: Path, *, as_of: int | None = None) -> Dataset:
    """Read a folder in the plain layout.

    Args:
        folder: The data set's folder.
        as_of: When the data were collected, unix ms; see `clean_events`.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    problems = Problems()
    notes: list[Note] = []
    files = {}
    for name in ("videos", "events"):
        try:
            files[name] = find_table(folder, name, notes=notes)
        except DatasetError as error:
            problems.found += error.problems
        else:
            if not files[name]:
                problems.add(folder, f"no {name}.csv or {name}.parquet; the plain layout needs both videos and events")
    problems.raise_if_any()
    listed = events = None
    try:
        listed, further = _read_videos(folder, files["videos"], problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    try:
        table, events = _read_events(files["events"], problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    media = find_media(folder / "files", problems, notes) if (folder / "files").is_dir() else {}
    problems.raise_if_any()

    items = natural_order([*listed["item"], *media, *events["item"].unique()])
    check_items(items, [listed["item"], media], events, notes)
    in_order = pl.DataFrame({"item": items}, schema={"item": pl.String})
    videos = in_order.join(listed, on="item", how="left", maintain_order="left")
    in_files = pl.Series([media.get(item) for item in items], dtype=pl.String)
    videos = videos.with_columns(path=pl.coalesce("path", in_files)).select(VIDEOS.names()).cast(VIDEOS)
    absent = videos["path"].null_count()
    if absent:
        notes.append(Note("info", f"{absent:,} of {len(items):,} items have no media file"))
    clean = clean_events(table, events, items, notes, as_of=as_of)
    check_publication(videos, clean.frame, clean.as_of, notes)
    aside = {}
    if further.width > 1:
        aside["videos"] = in_order.join(further, on="item", how="left", maintain_order="left")
    if clean.further.width:
        aside["events"] = clean.further
    return Dataset(folder, "plain", None, videos, clean.frame, aside, clean.as_of, clean.duplicates, notes)


def _read_videos(
    folder: Path, paths: list[Path], problems: Problems, notes: list[Note]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the columns of VIDEOS for the listed items, and `item` with the further columns."""
    table = read_tabular(paths, names=VIDEO_COLUMNS, required=("item",), notes=notes)
    items = table.ids("item", problems, notes)
    texts = [table.texts(name, problems, notes) for name in ("path", "title", "category", "author")]
    frame = pl.DataFrame([items, *texts])
    twice = np.flatnonzero((~items.is_first_distinct() & items.is_not_null()).to_numpy())
    for place, row in zip(table.where(twice[:LOCATED]), twice):
        problems.add(place, f"item {items[int(row)]} is given twice; one row per item is allowed")
    if "published_at" in table.frame.columns:
        published = read_times(table, "published_at", problems, iso=True)
    else:
        published = pl.Series([None] * frame.height, dtype=pl.Int64)
    located = [_locate(folder, relative) for relative in frame["path"]]
    absent = [relative for relative, path in zip(frame["path"], located) if relative and not path]
    if absent:
        notes.append(Note("warning", f"{table.name}: {len(absent):,} paths do not exist, first: {absent[0]}"))
    frame = frame.with_columns(path=pl.Series(located, dtype=pl.String), published_at=published)
    return frame, table.frame.select(items, *table.further)


def _locate(folder: Path, relative: str | None) -> str | None:
    """Return the absolute path of a file, or None. Its name on the disk may be in another Unicode form (NFC or NFD)."""
    if not relative:
        return None
    for form in (relative, *(unicodedata.normalize(form, relative) for form in ("NFC", "NFD"))):
        path = (folder / form).absolute()
        if path.is_file():
            return str(path)
    return None


def _read_events(paths: list[Path], problems: Problems, notes: list[Note]) -> tuple[Tabular, pl.DataFrame]:
    table = read_tabular(paths, names=EVENT_COLUMNS, required=("item", "time"), notes=notes)
    if not table.frame.height:
        raise DatasetError([f"{table.path}: there are no events"])
    items = table.ids("item", problems, notes)
    users = table.texts("user", problems, notes)
    types = table.texts("type", problems, notes).fill_null(DEFAULT_EVENT_TYPE)
    table.report_empty(table.frame["time"], problems)
    times = read_times(table, "time", problems, iso=True)
    return table, pl.DataFrame([items, users, types, times.alias("time"), *table.frame.select(table.further)])
