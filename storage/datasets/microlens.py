"""A reader of the MicroLens layout: MicroLens-100k (Ni et al., 2023) and data sets with the same files.

{prefix}_pairs.csv             user,item,timestamp[,event]   one event per row, unix milliseconds
{prefix}_title_en.csv          item,title without a header (or {prefix}_title.csv)
{prefix}_videos/{item}.{any}   media
tags_to_summary.csv            item,category without a header
{prefix}_likes_and_views.txt   item<TAB>likes<TAB>views without a header: final counts
{prefix}_counters.csv          item[,time],METRIC[,METRIC...] or item[,time],metric,value
{prefix}_authors.csv           author[,time],STATISTIC[,STATISTIC...]
{prefix}_published.csv         item,published_at[,author]    our extension, unix milliseconds

Pairs and counters may be several files, a folder of files, or parquet. Any file may be compressed. Counters alone are
enough: then no pairs are needed.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from storage.datasets.assemble import assemble
from storage.datasets.authors import read_author_table
from storage.datasets.clean_events import check_items
from storage.datasets.clock import read_times
from storage.datasets.counters import CounterTable, read_count_times, read_counter_table, wide_counts
from storage.datasets.dataset import DEFAULT_EVENT_TYPE, VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.file_bytes import find_file
from storage.datasets.item_text_csv import read_item_texts
from storage.datasets.media_files import find_media
from storage.datasets.named_features import named_features
from storage.datasets.table_files import find_table, table_pattern
from storage.datasets.tabular import Tabular, read_headless, read_tabular

ITEM = ("item", "videoid", "video_id", "itemid", "item_id")
PAIRS_COLUMNS = {
    "user": ("user", "userid", "user_id"),
    "item": ITEM,
    "time": ("timestamp", "time"),
    "type": ("event", "type"),
}
PUBLISHED_COLUMNS = {"item": ITEM, "published_at": ("published_at",), "author": ("author", "author_id")}
# MicroLens ships {prefix}_pairs.tsv beside the CSV; it has neither a header nor times.
PAIRS_FORMATS = ("csv", "parquet")
_NO_FEATURES = pl.DataFrame(schema={"item": pl.String})


def find_prefixes(folder: Path) -> list[str]:
    """Return the prefixes for which the folder has pairs (also a .tsv without times) or counters, as files or a folder."""
    pattern = table_pattern(".+?_(?:pairs|counters)", (*PAIRS_FORMATS, "tsv"))
    found = set()
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("."):
            name = match["name"] if (match := pattern.fullmatch(path.name)) else ""
        else:
            name = path.name
        if match := re.fullmatch(r"([^.].*)_(?:pairs|counters)", name):
            found.add(match[1])
    return sorted(found)


def read_microlens(folder: Path, prefix: str, *, as_of: int | None = None, features: Sequence[str] = ()) -> Dataset:
    """Read a folder in the MicroLens layout.

    Args:
        folder: The data set's folder.
        prefix: The files' prefix.
        as_of: When the data were collected, unix ms; see `assemble`.
        features: Names of the columns of `{prefix}_published.csv` that become features.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    notes: list[Note] = []
    pairs = find_table(folder, f"{prefix}_pairs", notes=notes, formats=PAIRS_FORMATS)
    counted = find_table(folder, f"{prefix}_counters", notes=notes)
    if not pairs and not counted:
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
                f"{folder / name}: no such file; the MicroLens layout needs it (user,item,timestamp), or "
                f"{prefix}_counters.csv. Prefixes with a pairs file in this folder: {there}"
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
    events = None
    counters: list[CounterTable] = []
    if pairs:
        with problems.collected():
            events = _read_pairs(pairs, problems, notes)
    if counted:
        with problems.collected():
            counters.append(read_counter_table(counted, problems, notes))
    if path := find_file(folder, f"{prefix}_likes_and_views.txt"):
        counters.append(_read_likes(path, problems, notes))
    authors = None
    if paths := find_table(folder, f"{prefix}_authors", notes=notes):
        with problems.collected():
            authors = read_author_table(paths, problems, notes)
    published, creators, named = {}, {}, _NO_FEATURES
    with problems.collected():
        published, creators, named = _read_published(folder, prefix, features, problems, notes)
    problems.raise_if_any()

    feedback = {"events": events[1]["item"]} if events else {}
    if counters:
        feedback["counts"] = pl.concat([one.frame["item"] for one in counters])
    counted_items = (item for rows in feedback.values() for item in rows.unique())
    items = natural_order([*titles, *categories, *media, *published, *counted_items])
    check_items(items, [titles, categories, media, published], feedback, notes)
    videos = pl.DataFrame(
        {
            "item": items,
            "path": [media.get(item) for item in items],
            "title": [titles.get(item) for item in items],
            "category": [categories.get(item) for item in items],
            "author": [creators.get(item) for item in items],
            "published_at": [published.get(item) for item in items],
        },
        schema=VIDEOS,
    )
    untitled = len(set(items) - titles.keys())
    if titles and untitled:
        notes.append(Note("info", f"{untitled:,} items have no line in the titles file"))
    if media and len(media) < len(items):
        notes.append(Note("info", f"{len(items) - len(media):,} of {len(items):,} items have no media file"))
    return assemble(
        folder,
        "microlens",
        prefix,
        videos=videos,
        events=events,
        counters=counters,
        notes=notes,
        as_of=as_of,
        features=videos.select("item").join(named, on="item", how="left", maintain_order="left"),
        authors=authors,
    )


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
    times = read_times(table, "time", problems, notes, any_form=False)
    table.tell_further(notes)
    types = types.fill_null(DEFAULT_EVENT_TYPE)
    return table, pl.DataFrame([items, users, types, times.alias("time"), *table.frame.select(table.further)])


def _read_published(
    folder: Path, prefix: str, features: Sequence[str], problems: Problems, notes: list[Note]
) -> tuple[dict[str, int], dict[str, str | None], pl.DataFrame]:
    """Return item -> time of publication, item -> author, and `item` with the columns that become features."""
    path = find_file(folder, f"{prefix}_published.csv")
    if path is None:
        if features:
            problems.add(folder, f"data.features names {features[0]!r}, but there is no {prefix}_published.csv")
        return {}, {}, _NO_FEATURES
    table = read_tabular(path, names=PUBLISHED_COLUMNS, required=("item", "published_at"), notes=notes)
    named, used = named_features(table, features)
    table.tell_further(notes, used=used)
    items = table.ids("item", problems, notes)
    times = read_times(table, "published_at", problems, notes, any_form=True)
    published: dict[str, int] = {}
    for row, (item, time) in enumerate(zip(items, times)):
        if item is None or time is None:
            continue
        if published.setdefault(item, time) != time:
            problems.add(
                table.where([row])[0],
                f"item {item} has two times of publication, {published[item]} and {time}; one is allowed",
            )
    creators = dict(zip(items, table.texts("author", problems, notes)))
    return published, creators, named.unique("item", keep="first", maintain_order=True)


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


def _read_likes(path: Path, problems: Problems, notes: list[Note]) -> CounterTable:
    """Return the final counts of likes and views. Lines with another form are left out, with a warning."""
    table = read_headless(path, ("item", "likes", "views"), "\t", notes, problems)
    items = table.ids("item", problems, notes)
    times = read_count_times(table, "time", problems, notes)
    return wide_counts(table, {"like": "likes", "view": "views"}, items, times, problems, notes)
