"""The MicroLens layout, as MicroLens-100k lies on its users' disks (Ni et al., 2023), and sets arranged like it.

{prefix}_pairs.csv             user,item,timestamp[,event]   one event a row, unix milliseconds      needed
{prefix}_title_en.csv          item,title without a header (or {prefix}_title.csv)
{prefix}_videos/{item}.{any}   media
tags_to_summary.csv            item,category without a header
{prefix}_likes_and_views.txt   item<TAB>likes<TAB>views; only checked
{prefix}_published.csv         item,published_at             our extension, unix milliseconds
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
from storage.datasets.leading_item import read_item_texts, read_lines
from storage.datasets.media_files import find_media
from storage.datasets.tabular import read_tabular, report_empty

ITEM = ("item", "videoid", "video_id", "itemid", "item_id")
PAIRS_COLUMNS = {
    "user": ("user", "userid", "user_id"),
    "item": ITEM,
    "time": ("timestamp", "time"),
    "type": ("event", "type"),
}
PUBLISHED_COLUMNS = {"item": ITEM, "published_at": ("published_at",)}


def find_prefixes(folder: Path) -> list[str]:
    """Prefixes with a pairs file, .csv or .tsv."""
    files = [*folder.glob("*_pairs.csv"), *folder.glob("*_pairs.tsv")]
    return sorted({file.name[: -len("_pairs.csv")] for file in files})


def read_microlens(folder: Path, prefix: str) -> Dataset:
    """Reads a folder in the MicroLens layout. Raises DatasetError, with everything that is wrong at once."""
    pairs = folder / f"{prefix}_pairs.csv"
    if not pairs.is_file():
        tsv = pairs.with_suffix(".tsv")
        if tsv.is_file():
            raise DatasetError(
                [
                    f"{tsv}: has no timestamps, only each user's order; "
                    f"{pairs.name} with user,item,timestamp is needed beside it"
                ]
            )
        there = ", ".join(find_prefixes(folder)) or "none"
        raise DatasetError(
            [f"{pairs}: no such file, and the MicroLens layout needs it (user,item,timestamp); found here: {there}"]
        )

    problems = Problems()
    notes: list[Note] = []
    titles: dict[str, str | None] = {}
    for name in (f"{prefix}_title_en.csv", f"{prefix}_title.csv"):
        if (folder / name).is_file():
            titles = read_item_texts(folder / name, problems, notes, what="title")
            break
    else:
        notes.append(Note("warning", f"no {prefix}_title_en.csv: every title is missing"))
    categories = _read_categories(folder / "tags_to_summary.csv", problems, notes)
    media_folder = folder / f"{prefix}_videos"
    media = find_media(media_folder, problems) if media_folder.is_dir() else {}
    if not media:
        notes.append(Note("warning", f"no files in {media_folder.name}/: every video is missing"))
    _check_likes(folder / f"{prefix}_likes_and_views.txt", problems, notes)

    events = published = None
    try:
        events = _read_pairs(pairs, problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    try:
        published = _read_published(folder / f"{prefix}_published.csv", problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    problems.raise_if_any()

    items = natural_order([*titles, *categories, *media, *published, *events["item"].unique()])
    videos = pl.DataFrame(
        {
            "item": items,
            "path": [media.get(item) for item in items],
            "title": [titles.get(item) for item in items],
            "category": [categories.get(item) for item in items],
            "author": [None] * len(items),
            "published_at": [published.get(item) for item in items],
        },
        schema=VIDEOS,
    )
    untitled = len(set(items) - titles.keys())
    if titles and untitled:
        notes.append(Note("info", f"{untitled:,} items have no line in the titles file"))
    if media and len(media) < len(items):
        notes.append(Note("info", f"{len(items) - len(media):,} of {len(items):,} items have no media file"))
    clean = clean_events(events, items, notes, source=pairs.name)
    check_publication(videos, clean, notes)
    return Dataset(folder, "microlens", prefix, videos, clean, notes)


def _read_pairs(path: Path, problems: Problems, notes: list[Note]) -> pl.DataFrame:
    file = read_tabular(
        path,
        names=PAIRS_COLUMNS,
        required=("user", "item", "time"),
        why=" (a pairs file without timestamps cannot be used: the process needs the times)",
    )
    if not file.frame.height:
        raise DatasetError([f"{path}: there are no events below the header"])
    columns = ("user", "item", "time", "type") if "type" in file.frame.columns else ("user", "item", "time")
    report_empty(file, file.frame.select(columns), problems)
    times = read_times(file, "time", problems, notes, iso=False)
    frame = file.frame.with_columns(times.alias("time"))
    if "type" not in frame.columns:
        frame = frame.with_columns(type=pl.lit(DEFAULT_EVENT_TYPE))
    return frame.select("item", "user", "type", "time")


def _read_published(path: Path, problems: Problems, notes: list[Note]) -> dict[str, int]:
    if not path.is_file():
        return {}
    file = read_tabular(path, names=PUBLISHED_COLUMNS, required=("item", "published_at"))
    report_empty(file, file.frame.select("item"), problems)
    times = read_times(file, "published_at", problems, notes, iso=True)
    published: dict[str, int] = {}
    for row, (item, time) in enumerate(zip(file.frame["item"], times)):
        if item is None or time is None:
            continue
        if published.setdefault(item, time) != time:
            line = file.lines(np.array([row]))[0]
            problems.add(path, f"item {item} has two times, {published[item]} and {time}; one is allowed", line=line)
    return published


def _read_categories(path: Path, problems: Problems, notes: list[Note]) -> dict[str, str | None]:
    if not path.is_file():
        return {}
    several: set[str] = set()
    categories = read_item_texts(
        path, problems, notes, what="category", conflict=lambda item, first, line: several.add(item)
    )
    if several:
        notes.append(
            Note("warning", f"{path.name}: {len(several):,} items have several categories, the first is taken")
        )
    return categories


def _check_likes(path: Path, problems: Problems, notes: list[Note]) -> None:
    """Likes and views are no input of any stage; what is wrong with them is worth knowing, not worth stopping for."""
    if not path.is_file():
        return
    malformed = impossible = 0
    for line in read_lines(path, problems):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != 3 or not (fields[1].strip().isdigit() and fields[2].strip().isdigit()):
            malformed += 1
        else:
            impossible += int(fields[1]) > int(fields[2])
    if malformed:
        notes.append(Note("warning", f"{path.name}: {malformed:,} lines are not item<TAB>likes<TAB>views"))
    if impossible:
        notes.append(
            Note("warning", f"{path.name}: {impossible:,} items have more likes than views; the file is not used")
        )
