"""A reader of the Vine set of micro-videos (Chen et al., 2016; and files of the same form).

video_id.txt       one item per line; line i of the next two files belongs to line i of this one
ground_truth.txt   loops::::likes::::reposts::::comments::::created      final counts, and the time of publication
video_text.txt     one text per line, possibly empty                     optional
video_user.txt     item::::author, in any order
user_details.txt   author::::loops::::followers::::following::::likes::::posts::::verified      optional
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from storage.datasets.assemble import assemble
from storage.datasets.clock import read_times
from storage.datasets.counters import CounterTable, read_count_times, wide_counts
from storage.datasets.counts import parse_counts
from storage.datasets.dataset import VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import DatasetError, Problems
from storage.datasets.file_bytes import find_file
from storage.datasets.ids import canonical_id
from storage.datasets.item_text_csv import read_lines
from storage.datasets.tabular import read_headless

VINE_FILES = ("video_id.txt", "ground_truth.txt", "video_user.txt")
SEPARATOR = "::::"
METRICS = {"loop": "loops", "like": "likes", "repost": "reposts", "comment": "comments"}
STATISTICS = ("loops", "followers", "following", "likes", "posts", "verified")


def is_vine(folder: Path) -> bool:
    """Return whether the folder has the files of the Vine set."""
    return all(find_file(folder, name) for name in VINE_FILES)


def read_vine(folder: Path, *, as_of: int | None = None, features: Sequence[str] = ()) -> Dataset:
    """Read a folder in the form of the Vine set. It has final counts, and neither events nor media.

    Args:
        folder: The data set's folder.
        as_of: When the data were collected, unix ms. Default: the last publication, because the counts have no time.
        features: Refused: this form has no further columns.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    if features:
        raise DatasetError([f"{folder}: data.features names {features[0]!r}, but the Vine form has no further columns"])
    problems, notes = Problems(), list[Note]()
    listed, truth, owners = (find_file(folder, name) for name in VINE_FILES)
    ids = [canonical_id(line) for line in _rows(listed, problems)]
    for number, item in enumerate(ids, start=1):
        if not item:
            problems.add(listed, "the line is empty; each line needs an item", line=number)
    if len(set(ids)) < len(ids):
        problems.add(listed, f"{len(ids) - len(set(ids)):,} items are given twice; one line per item is allowed")
    table = read_headless(truth, (*METRICS.values(), "created"), SEPARATOR, notes, problems)
    texts: list[str | None] = [None] * len(ids)
    if path := find_file(folder, "video_text.txt"):
        texts = [line.strip() or None for line in _rows(path, problems)]
        _check_length(path, len(texts), listed, len(ids), problems)
    _check_length(truth, table.frame.height, listed, len(ids), problems)
    problems.raise_if_any()

    items = pl.Series("item", ids)
    published = read_times(table, "created", problems, notes, any_form=True)
    times = read_count_times(table, "time", problems, notes)
    counters: CounterTable = wide_counts(table, METRICS, items, times, problems, notes)
    authors = read_headless(owners, ("item", "author"), SEPARATOR, notes, problems)
    author_of = pl.DataFrame([authors.ids("item", problems, notes), authors.ids("author", problems, notes)])
    statistics = _read_statistics(folder, problems, notes)
    problems.raise_if_any()

    order = pl.DataFrame({"item": natural_order(ids)})
    videos = pl.DataFrame(
        {"item": ids, "title": texts, "published_at": published}, schema_overrides={"title": pl.String}
    )
    videos = order.join(videos, on="item", how="left", maintain_order="left")
    videos = videos.join(author_of.unique("item", keep="first"), on="item", how="left", maintain_order="left")
    nothing = [pl.lit(None, pl.String).alias(name) for name in ("path", "category")]
    return assemble(
        folder,
        "vine",
        None,
        videos=videos.with_columns(nothing).select(VIDEOS.names()).cast(VIDEOS),
        events=None,
        counters=[counters],
        notes=notes,
        as_of=as_of,
        authors=statistics,
    )


def _rows(path: Path, problems: Problems) -> list[str]:
    lines = read_lines(path, problems)
    return lines[:-1] if lines and lines[-1] == "" else lines


def _check_length(path: Path, rows: int, listed: Path, items: int, problems: Problems) -> None:
    if rows != items:
        problems.add(path, f"{rows:,} rows, but {listed.name} has {items:,}; line i of both belongs to one item")


def _read_statistics(folder: Path, problems: Problems, notes: list[Note]) -> pl.DataFrame | None:
    path = find_file(folder, "user_details.txt")
    if path is None:
        return None
    table = read_headless(path, ("author", *STATISTICS), SEPARATOR, notes, problems)
    columns = [table.ids("author", problems, notes), pl.Series("time", [None] * table.frame.height, dtype=pl.Int64)]
    for name in STATISTICS:
        counts = parse_counts(table.frame[name])
        if len(counts.wrong):
            problems.add(
                table.where(counts.wrong[:1])[0],
                f"{name} is {table.frame[name][int(counts.wrong[0])]!r}, must be a number",
            )
        columns.append(counts.values)
    notes.append(Note("info", f"{table.name}: it is unknown when the statistics were taken"))
    return pl.DataFrame(columns).unique("author", keep="first", maintain_order=True).sort("author")
