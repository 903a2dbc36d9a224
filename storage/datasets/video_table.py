"""The table `videos`: one row per item, or several rows per item if it holds counts that were taken at several times."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.authors import authors_of_videos
from storage.datasets.clock import read_times
from storage.datasets.column_names import PLAIN_TIMES, VIDEO_NAMES, VIDEO_TIERS, fold
from storage.datasets.counters import CounterTable, metric_columns, read_count_times, wide_counts
from storage.datasets.dataset import Note
from storage.datasets.details import join_hashtags, read_details
from storage.datasets.errors import LOCATED, Problems
from storage.datasets.named_features import named_features
from storage.datasets.snapshot_columns import snapshot_columns
from storage.datasets.tabular import Tabular, read_tabular


@dataclass(frozen=True)
class VideoTable:
    """The rows of `videos`, one per item.

    Attributes:
        listed: The columns of VIDEOS.
        details: The columns of DETAILS.
        features: `item` and the columns that were asked for by name.
        further: `item` and the columns that nothing reads.
        counters: The counts that the table holds; None if it has no column of a counter.
        authors: Statistics of authors that the table holds; None if it has none.
    """

    listed: pl.DataFrame
    details: pl.DataFrame
    features: pl.DataFrame
    further: pl.DataFrame
    counters: CounterTable | None
    authors: pl.DataFrame | None


def read_video_table(
    folder: Path, paths: Sequence[Path], asked: Sequence[str], problems: Problems, notes: list[Note]
) -> VideoTable:
    """Read the table `videos`.

    Args:
        folder: The data set's folder, to which the column `path` is relative.
        paths: The table's files.
        asked: Names of the columns that become features (`data.features`).
        problems: Problems are added here.
        notes: What was assumed or cleaned is added here.

    Raises:
        DatasetError: A file cannot be read, or lacks a column that was asked for.
    """
    table = read_tabular(paths, names=VIDEO_NAMES, tiers=VIDEO_TIERS, required=("item",), notes=notes)
    join_hashtags(table)
    items = table.ids("item", problems, notes)
    features, named = named_features(table, asked)
    snapshots = snapshot_columns(table, notes, leave=named)
    dated = [one.column for one in snapshots]
    metrics = metric_columns(table, problems, any_number=False, leave=[*named, *dated])
    _place_plain_time(table, bool(metrics), named, problems, notes)
    times = read_count_times(table, "scraped_at", problems, notes) if metrics else None
    authors, author_columns = authors_of_videos(table, times, problems, notes)

    texts = [table.texts(name, problems, notes) for name in ("path", "title", "category", "author")]
    if "published_at" in table.frame.columns:
        published = read_times(table, "published_at", problems, notes, any_form=True)
    else:
        published = pl.Series("published_at", [None] * len(items), dtype=pl.Int64)
    counters = None
    if metrics or snapshots:
        counters = wide_counts(table, metrics, items, times, problems, notes, snapshots=snapshots, published=published)
    listed = pl.DataFrame([items, *texts, published.alias("published_at")])
    details = read_details(table, items, notes)
    unread = [column for column in table.further if column not in {*named, *metrics.values(), *dated, *author_columns}]
    table.tell_further(notes, used=set(table.further) - set(unread))
    further = table.frame.select(items, *unread)

    twice = np.flatnonzero((~items.is_first_distinct() & items.is_not_null()).to_numpy())
    if times is None:
        for place, row in zip(table.where(twice[:LOCATED]), twice):
            problems.add(
                place,
                f"item {items[int(row)]} is given twice; one row per item is allowed, or several that hold counts",
            )
    elif len(twice):
        in_time = times.arg_sort(nulls_last=True)
        frames = [frame[in_time] for frame in (listed, details, features, further)]
        _tell_repeats(table, frames[:3], len(twice), notes)
        listed, details, features, further = map(_first_of_each, frames)
    located = [_locate(folder, relative) for relative in listed["path"]]
    absent = [relative for relative, path in zip(listed["path"], located) if relative and not path]
    if absent:
        notes.append(Note("warning", f"{table.name}: {len(absent):,} paths do not exist, first: {absent[0]}"))
    listed = listed.with_columns(path=pl.Series(located, dtype=pl.String))
    return VideoTable(listed, details, features, further, counters, authors)


def _place_plain_time(
    table: Tabular, counted: bool, named: Sequence[str], problems: Problems, notes: list[Note]
) -> None:
    """Decide whether a column such as `timestamp` is the time of publication or the time at which counts were taken."""
    plain = [column for column in table.further if fold(column) in PLAIN_TIMES and column not in named]
    free = [name for name in ("published_at", "scraped_at") if name not in table.frame.columns]
    if not counted and "published_at" in free:
        free = ["published_at"]
    elif not counted:
        free = []
    if not plain or not free:
        return
    if len(plain) > 1:
        both = " and ".join(map(repr, plain[:2]))
        problems.add(table.path, f"columns {both} may each be {free[0]}; rename the one that is meant to {free[0]}")
    elif len(free) == 2:
        problems.add(
            table.path,
            f"{plain[0]!r} may be the time of publication or the time at which the row was taken; rename it to "
            "published_at or to scraped_at",
        )
    else:
        table.adopt(plain[0], free[0])
        notes.append(Note("info", f"{table.name}: {plain[0]!r} is read as {free[0]}"))


def _first_of_each(rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per item, with the first value of each column in the order of the rows."""
    return rows.group_by("item", maintain_order=True).agg(pl.exclude("item").drop_nulls().first())


def _tell_repeats(table: Tabular, frames: Sequence[pl.DataFrame], repeats: int, notes: list[Note]) -> None:
    changed = []
    for frame in frames:
        distinct = frame.group_by("item").agg(pl.exclude("item").drop_nulls().n_unique())
        changed += [column for column in distinct.columns[1:] if (distinct[column] > 1).any()]
    text = f"{table.name}: {repeats:,} rows repeat an item and are further counts of it"
    if changed:
        text += f"; their {', '.join(dict.fromkeys(changed))} differ, and the earliest value is used"
    notes.append(Note("info", text))


def _locate(folder: Path, relative: str | None) -> str | None:
    """Return the absolute path of a file, or None. Its name on the disk may be in another Unicode form (NFC or NFD)."""
    if not relative:
        return None
    for form in (relative, *(unicodedata.normalize(form, relative) for form in ("NFC", "NFD"))):
        path = (folder / form).absolute()
        if path.is_file():
            return str(path)
    return None
