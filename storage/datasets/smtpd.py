"""A reader of SMTPD, YouTube videos with their daily popularity over 30 days (Xu et al., 2025, arXiv 2503.04446).

basic_view_pn.csv   one row per video, read by the position of the columns, as the published code does
    1         id of the video
    2 to 5    not read, except a time of publication
    6 to 10   id of the user, category, title, keywords, description
    11 to 15  five numbers, which `data.features` may name by their headers
    16 to 45  popularity p of day 1 to day 30, p = log2(v / d + 1), where v are the views up to day d
img_yt/{id}.jpg     covers, optional
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.assemble import assemble
from storage.datasets.clock import DAY_MS, read_moment, read_times, tell_moment
from storage.datasets.column_names import VIDEO_TIERS, fold
from storage.datasets.counters import CounterTable
from storage.datasets.counts import parse_measures
from storage.datasets.dataset import DETAILS, VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.file_bytes import find_file
from storage.datasets.media_files import find_media
from storage.datasets.named_features import named_features
from storage.datasets.tabular import Tabular, read_tabular

FILE, COVERS = "basic_view_pn.csv", "img_yt"
DAYS, FIRST_DAY = 30, 15
PLACES = {0: "item", 5: "author", 6: "category", 7: "title", 8: "hashtags", 9: "description"}
METRIC = "view"
HIGHEST = 40  # a higher popularity cannot be a logarithm of views
NOMINAL = "2000-01-01"  # publication of every video if the file has no time of it


def is_smtpd(folder: Path) -> bool:
    """Return whether the folder has the table of SMTPD."""
    return find_file(folder, FILE) is not None


def read_smtpd(folder: Path, *, as_of: int | None = None, features: Sequence[str] = ()) -> Dataset:
    """Read a folder in the form of SMTPD. Its counters are the views at 1 to 30 days after publication.

    If no column among the second to fifth has a usual name of a time of publication, every video gets the same nominal one:
    ages are right, but hours, weekdays and the order of the videos mean nothing.

    Args:
        folder: The data set's folder.
        as_of: When the data were collected, unix ms. Default: the last count.
        features: Names of columns that become features.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    problems, notes = Problems(), list[Note]()
    table = read_tabular(find_file(folder, FILE), names={}, required=(), notes=notes)
    columns = table.frame.columns
    if len(columns) != FIRST_DAY + DAYS:
        raise DatasetError(
            [
                f"{table.path}: {len(columns)} columns; {FIRST_DAY + DAYS} are needed, of which the last {DAYS} are the "
                "popularity of day 1 to 30"
            ]
        )
    for place, name in PLACES.items():
        table.adopt(columns[place], name)
    publication = [column for column in columns[1:5] if fold(column) in set(map(fold, VIDEO_TIERS["published_at"][0]))]
    if publication:
        table.adopt(publication[0], "published_at")
    items = table.ids("item", problems, notes)
    twice = np.flatnonzero((~items.is_first_distinct() & items.is_not_null()).to_numpy())
    for place, row in zip(table.where(twice[:LOCATED]), twice):
        problems.add(place, f"item {items[int(row)]} is given twice; one row per item is allowed")
    if publication:
        published = read_times(table, "published_at", problems, notes, any_form=True)
    else:
        published = pl.repeat(read_moment(NOMINAL), len(items), dtype=pl.Int64, eager=True).alias("published_at")
        text = (
            f"{table.name}: no time of publication, so every video is taken as published at {tell_moment(published[0])}"
        )
        notes.append(Note("warning", f"{text}; ages are right, but a chronological split means nothing"))
    counters = _daily_views(table, columns[FIRST_DAY:], items, published, problems)
    named, _ = named_features(table, features)
    texts = [table.texts(name, problems, notes) for name in ("author", "category", "title", "hashtags", "description")]
    covers = find_media(folder / COVERS, problems, notes) if (folder / COVERS).is_dir() else {}
    problems.raise_if_any()

    rows = pl.DataFrame([items, *texts, published]).with_columns(
        path=pl.Series([covers.get(item) for item in items], dtype=pl.String)
    )
    if absent := rows["path"].null_count():
        notes.append(Note("info", f"{absent:,} of {len(items):,} items have no cover in {COVERS}/"))
    order = pl.DataFrame({"item": natural_order(items)})
    rows = order.join(rows, on="item", how="left", maintain_order="left")
    nothing = [pl.lit(None, kind).alias(name) for name, kind in DETAILS.items() if name not in rows.columns]
    return assemble(
        folder,
        "smtpd",
        None,
        videos=rows.select(VIDEOS.names()).cast(VIDEOS),
        events=None,
        counters=[counters],
        notes=notes,
        as_of=as_of,
        details=rows.with_columns(nothing).select(DETAILS.names()).cast(DETAILS),
        features=order.join(named, on="item", how="left", maintain_order="left"),
    )


def _daily_views(
    table: Tabular, columns: Sequence[str], items: pl.Series, published: pl.Series, problems: Problems
) -> CounterTable:
    """Return v = d (2**p - 1) at d days after publication; a missing value is no count."""
    frames = []
    for day, column in enumerate(columns, start=1):
        popularity = parse_measures(table.frame[column]).values
        popularity = popularity.set(popularity > HIGHEST, None)
        wrong = (popularity.is_null() & table.frame[column].is_not_null()).arg_true().to_numpy()[:LOCATED]
        for place, row in zip(table.where(wrong), wrong):
            given = table.frame[column][int(row)]
            problems.add(place, f"{column} is {given!r}, must be log2(v / {day} + 1), a number up to {HIGHEST}")
        views = (day * (2.0 ** popularity.to_numpy() - 1.0)).round()
        frames.append(
            pl.DataFrame(
                {
                    "row": pl.int_range(len(items), eager=True),
                    "item": items,
                    "metric": pl.repeat(METRIC, len(items), eager=True),
                    "time": published + day * DAY_MS,
                    "value": pl.Series(views, nan_to_null=True, dtype=pl.Float64),
                }
            )
        )
    return CounterTable(table, pl.concat(frames).drop_nulls(["item", "value"]))
