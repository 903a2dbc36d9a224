"""A reader of the plain layout: tables `videos`, `events`, `counters` and `authors`, and media in `files/` or at `path`.

    videos     item[,path,title,category,author,published_at,...]   path relative to the folder
    events     item,time[,user,type,...]
    counters   item[,time],METRIC[,METRIC...]  or  item[,time],metric,value
    authors    author[,time],STATISTIC[,STATISTIC...]

Each table is one file, several files (`events-1.csv`, ...) or a folder of files, compressed or not. One of `events` and
`counters` is needed; columns of counts may also be in `videos`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from storage.datasets.assemble import assemble
from storage.datasets.authors import read_author_table
from storage.datasets.clean_events import check_items
from storage.datasets.clock import read_times
from storage.datasets.column_names import EVENT_NAMES, EVENT_TIERS
from storage.datasets.counters import CounterTable, read_counter_table
from storage.datasets.dataset import DEFAULT_EVENT_TYPE, DETAILS, VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.media_files import find_media
from storage.datasets.table_files import find_table
from storage.datasets.tabular import Tabular, read_tabular
from storage.datasets.video_table import VideoTable, read_video_table

TABLES = ("videos", "events", "counters", "authors")


def read_plain(
    folder: Path,
    *,
    as_of: int | None = None,
    features: Sequence[str] = (),
    lone: Mapping[str, Sequence[Path]] | None = None,
    why: str = "",
) -> Dataset:
    """Read a folder in the plain layout.

    Args:
        folder: The data set's folder.
        as_of: When the data were collected, unix ms; see `assemble`.
        features: Names of the columns of `videos` that become features.
        lone: Table -> its files, if the folder's only table is not named after what it holds. Default: files named so.
        why: Why that table is taken as `lone` says, in words.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    problems, notes = Problems(), list[Note]()
    files: dict[str, list[Path]] = {}
    for name in TABLES:
        try:
            files[name] = find_table(folder, name, notes=notes)
        except DatasetError as error:
            problems.found += error.problems
    problems.raise_if_any()
    for name, paths in (lone or {}).items():
        files[name] = list(paths)
        notes.append(Note("info", f"{paths[0].name} is read as the table {name}: {why}"))

    listed = _EMPTY
    authors, events = None, None
    counters: list[CounterTable] = []
    if files["videos"]:
        with problems.collected():
            listed = read_video_table(folder, files["videos"], features, problems, notes)
    else:
        notes.append(Note("warning", "no videos.csv: every title, category, author and time of publication is missing"))
        if features:
            problems.add(folder, f"data.features names {features[0]!r}, but there is no videos.csv or videos.parquet")
    if files["events"]:
        with problems.collected():
            events = read_event_table(files["events"], problems, notes)
    if files["counters"]:
        with problems.collected():
            counters.append(read_counter_table(files["counters"], problems, notes))
    if files["authors"]:
        with problems.collected():
            authors = read_author_table(files["authors"], problems, notes)
    media = find_media(folder / "files", problems, notes) if (folder / "files").is_dir() else {}
    if listed.counters is not None:
        counters.append(listed.counters)
    if not (events or counters or problems.found):
        problems.add(
            folder,
            "no events.csv or events.parquet, no counters.csv or counters.parquet, and no column of counts (views, likes, "
            "...) in videos; the plain layout needs one of them",
        )
    problems.raise_if_any()

    feedback = {"events": events[1]["item"]} if events else {}
    if counters:
        feedback["counts"] = pl.concat([table.frame["item"] for table in counters])
    items = natural_order(
        [*listed.listed["item"], *media, *(item for rows in feedback.values() for item in rows.unique())]
    )
    check_items(items, [listed.listed["item"], media], feedback, notes)
    in_order = pl.DataFrame({"item": items}, schema={"item": pl.String})

    def ordered(frame: pl.DataFrame) -> pl.DataFrame:
        return in_order.join(frame, on="item", how="left", maintain_order="left")

    in_files = pl.Series([media.get(item) for item in items], dtype=pl.String)
    frame = ordered(listed.listed).with_columns(path=pl.coalesce("path", in_files)).select(VIDEOS.names()).cast(VIDEOS)
    absent = frame["path"].null_count()
    if absent:
        notes.append(Note("info", f"{absent:,} of {len(items):,} items have no media file"))
    return assemble(
        folder,
        "plain",
        None,
        videos=frame,
        events=events,
        counters=counters,
        notes=notes,
        as_of=as_of,
        details=ordered(listed.details),
        features=ordered(listed.features),
        further={"videos": ordered(listed.further)} if listed.further.width > 1 else {},
        authors=listed.authors if authors is None else authors,
    )


_ONLY_ITEM = pl.DataFrame(schema={"item": pl.String})
_EMPTY = VideoTable(VIDEOS.to_frame(), DETAILS.to_frame(), _ONLY_ITEM, _ONLY_ITEM, None, None)


def read_event_table(
    paths: list[Path], problems: Problems, notes: list[Note], *, item: str | None = None
) -> tuple[Tabular, pl.DataFrame]:
    """Read a table of events.

    Args:
        paths: The table's files.
        problems: Problems are added here.
        notes: What was assumed is added here.
        item: The item of every row. None: the table names it.

    Returns:
        The table; and its rows with the columns of EVENTS and further columns.

    Raises:
        DatasetError: The file cannot be read, lacks a column or has no rows.
    """
    required = ("time",) if item is not None else ("item", "time")
    table = read_tabular(paths, names=EVENT_NAMES, tiers=EVENT_TIERS, required=required, notes=notes)
    if not table.frame.height:
        raise DatasetError([f"{table.path}: there are no events"])
    items = table.ids_or(item, problems, notes)
    users = table.texts("user", problems, notes)
    types = table.texts("type", problems, notes).fill_null(DEFAULT_EVENT_TYPE)
    table.report_empty(table.frame["time"], problems)
    times = read_times(table, "time", problems, notes, any_form=True)
    table.tell_further(notes)
    return table, pl.DataFrame([items, users, types, times.alias("time"), *table.frame.select(table.further)])
