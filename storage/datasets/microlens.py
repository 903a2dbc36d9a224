"""A reader of the MicroLens layout: MicroLens-100k (Ni et al., 2023) and data sets with the same files.

{prefix}_pairs.csv             user,item,timestamp[,event]   one event per row, unix milliseconds    required
{prefix}_title_en.csv          item,title without a header (or {prefix}_title.csv)
{prefix}_videos/{item}.{any}   media
tags_to_summary.csv            item,category without a header
{prefix}_likes_and_views.txt   item<TAB>likes<TAB>views; checked, but not used
{prefix}_published.csv         item,published_at             our extension, unix milliseconds

The pairs may be several files, a folder of files, or parquet. Any file may be compressed.
"""

import re
from pathlib import Path

import polars as pl

from storage.datasets.clean_events import check_items, check_publication, clean_events
from storage.datasets.clock import read_times
from storage.datasets.dataset import DEFAULT_EVENT_TYPE, VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.file_bytes import find_file
from storage.datasets.item_text_csv import read_item_texts, read_lines
from storage.datasets.media_files import find_media
from storage.datasets.table_files import find_table, table_pattern
from storage.datasets.tabular import Tabular, read_tabular

ITEM = ("item", "videoid", "video_id", "itemid", "item_id")
PAIRS_COLUMNS = {
    "user": ("user", "userid", "user_id"),
    "item": ITEM,
    "time": ("timestamp", "time"),
    "type": ("event", "type"),
}
PUBLISHED_COLUMNS = {"item": ITEM, "published_at": ("published_at",)}
# MicroLens ships {prefix}_pairs.tsv beside the CSV; it has neither a header nor times.
PAIRS_FORMATS = ("csv", "parquet")


def find_prefixes(folder: Path) -> list[str]:
    """Return the prefixes for which the folder has a pairs file (also a .tsv without times) or a folder of parts."""
    pattern = table_pattern(".+?_pairs", (*PAIRS_FORMATS, "tsv"))
    found = set()
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("."):
            name = match["name"] if (match := pattern.fullmatch(path.name)) else ""
        else:
            name = path.name
        if re.fullmatch(r"[^.].*_pairs", name):
            found.add(name.removesuffix("_pairs"))
    return sorted(found)


def read_microlens(folder: Path, prefix: str, *, as_of: int | None = None) -> Dataset:
    """Read a folder in the MicroLens layout.

    Args:
        folder: The data set's folder.
        prefix: The files' prefix.
        as_of: When the data were collected, unix ms; see `clean_events`.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    notes: list[Note] = []
    pairs = find_table(folder, f"{prefix}_pairs", notes=notes, formats=PAIRS_FORMATS)
    if not pairs:
        name, tsv = f"{prefix}_pairs.csv", folder / f"{prefix}_pairs.tsv"
        if tsv.is_file():
            raise DatasetError(
                [
                    f"{tsv}: has no timestamps, only the order of each user's items; "
                    f"{name} with user,item,timestamp is needed beside it"
                ]
            )
        there = ", ".join(find_prefixes(folder)) or "none"
        raise DatasetError(
            [
                f"{folder / name}: no such file; the MicroLens layout needs it (user,item,timestamp). Prefixes with a pairs "
                f"file in this folder: {there}"
            ]
        )

    problems = Problems()
    titles: dict[str, str | None] = {}
    for name in (f"{prefix}_title_en.csv", f"{prefix}_title.csv"):
        if path := find_file(folder, name):
            titles = read_item_texts(path, problems, notes, what="title")
            break
    else:
        notes.append(Note("warning", f"no {prefix}_title_en.csv: every title is missing"))
    categories = _read_categories(find_file(folder, "tags_to_summary.csv"), problems, notes)
    media_folder = folder / f"{prefix}_videos"
    media = find_media(media_folder, problems, notes) if media_folder.is_dir() else {}
    if not media:
        notes.append(Note("warning", f"no files in {media_folder.name}/: every video is missing"))
    _check_likes(find_file(folder, f"{prefix}_likes_and_views.txt"), problems, notes)

    events = published = None
    try:
        table, events = _read_pairs(pairs, problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    try:
        published = _read_published(find_file(folder, f"{prefix}_published.csv"), problems, notes)
    except DatasetError as error:
        problems.found += error.problems
    problems.raise_if_any()

    items = natural_order([*titles, *categories, *media, *published, *events["item"].unique()])
    check_items(items, [titles, categories, media, published], events, notes)
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
    clean = clean_events(table, events, items, notes, as_of=as_of)
    check_publication(videos, clean.frame, clean.as_of, notes)
    aside = {"events": clean.further} if clean.further.width else {}
    return Dataset(folder, "microlens", prefix, videos, clean.frame, aside, clean.as_of, clean.duplicates, notes)


def _read_pairs(paths: list[Path], problems: Problems, notes: list[Note]) -> tuple[Tabular, pl.DataFrame]:
    table = read_tabular(
        paths,
        names=PAIRS_COLUMNS,
        required=("user", "item", "time"),
        notes=notes,
        why=" (pairs without timestamps cannot be used, because the Hawkes process is fitted to the times)",
    )
    if not table.frame.height:
        raise DatasetError([f"{table.path}: there are no events below the header"])
    items = table.ids("item", problems, notes)
    users = table.texts("user", problems, notes)
    table.report_empty(users, problems)
    types = table.texts("type", problems, notes)
    if "type" in table.frame.columns:
        table.report_empty(types, problems)
    table.report_empty(table.frame["time"], problems)
    times = read_times(table, "time", problems, iso=False)
    types = types.fill_null(DEFAULT_EVENT_TYPE)
    return table, pl.DataFrame([items, users, types, times.alias("time"), *table.frame.select(table.further)])


def _read_published(path: Path | None, problems: Problems, notes: list[Note]) -> dict[str, int]:
    if path is None:
        return {}
    table = read_tabular(path, names=PUBLISHED_COLUMNS, required=("item", "published_at"), notes=notes)
    items = table.ids("item", problems, notes)
    times = read_times(table, "published_at", problems, iso=True)
    published: dict[str, int] = {}
    for row, (item, time) in enumerate(zip(items, times)):
        if item is None or time is None:
            continue
        if published.setdefault(item, time) != time:
            problems.add(
                table.where([row])[0],
                f"item {item} has two times of publication, {published[item]} and {time}; one is allowed",
            )
    return published


def _read_categories(path: Path | None, problems: Problems, notes: list[Note]) -> dict[str, str | None]:
    if path is None:
        return {}
    several: set[str] = set()
    categories = read_item_texts(
        path, problems, notes, what="category", conflict=lambda item, first, line: several.add(item)
    )
    if several:
        notes.append(
            Note("warning", f"{path.name}: {len(several):,} items have several categories; the first one is used")
        )
    return categories


def _check_likes(path: Path | None, problems: Problems, notes: list[Note]) -> None:
    """Add warnings about wrong likes and views. They stop nothing, because no stage uses the file."""
    if path is None:
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
