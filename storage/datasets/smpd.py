"""A reader of SMPD, the posts of the Social Media Prediction Challenge (Wu et al., 2019), with the names of all years.

{part} is train or test; its files are in the folder, in {part}/ or in {part}_allmetadata_json/. Row i of each belongs to the
same post.

{part}_additional_information.json       Uid, Pid, Pathalias, Ispublic, Mediastatus
{part}_category.json                     Uid, Pid, Category, Subcategory, Concept
{part}_text.json                         Uid, Pid, Title, Alltags, Mediatype
{part}_temporalspatial_information.json  Uid, Pid, Postdate (unix seconds), Longitude, Latitude, Geoaccuracy
{part}_user_data.json                    Uid, Pid, photo_count, ispro, ... of the post's author
{part}_label.txt                         one score per line: log2(views / days online) + 1; test posts usually have none
{part}_img_filepath.txt                  {part}/{Uid}/{Pid}.jpg per line (or {part}_img_path.txt)

The scores and one of the JSON files with Uid and Pid are needed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.assemble import assemble
from storage.datasets.clock import read_times
from storage.datasets.counters import CounterTable
from storage.datasets.counts import parse_measures
from storage.datasets.dataset import DETAILS, VIDEOS, Dataset, Note, natural_order
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.file_bytes import find_file
from storage.datasets.json_records import read_json_records
from storage.datasets.named_features import named_features
from storage.datasets.tabular import Part, Tabular, read_headless

PARTS = ("train", "test")
METRIC = "view_per_million_days"
DAYS = 1e6
HIGHEST = 40  # a higher score cannot be a logarithm of views
POST = {"Uid": "author", "Pid": "post"}
TABLES: Mapping[str, Mapping[str, str]] = {
    "additional_information": {"Pathalias": "pathalias", "Ispublic": "is_public", "Mediastatus": "media_status"},
    "category": {"Category": "category", "Subcategory": "subcategory", "Concept": "concept"},
    "text": {"Title": "title", "Alltags": "hashtags", "Mediatype": "media_type"},
    "temporalspatial_information": {
        "Postdate": "published_at",
        "Longitude": "longitude",
        "Latitude": "latitude",
        "Geoaccuracy": "geo_accuracy",
    },
    "user_data": {
        "photo_count": "posts",
        "ispro": "is_pro",
        "canbuypro": "can_buy_pro",
        "photo_firstdate": "first_post",
        "timezone_id": "time_zone_id",
        "timezone_offset": "time_zone_offset",
    },
}
STATISTICS = ("posts", "is_pro", "can_buy_pro", "first_post")
IMAGE_LISTS = ("img_filepath", "img_path")
IMAGE_FOLDERS = ("{part}", "{part}_images", "SMP_{part}_images", "images", "")


def is_smpd(folder: Path) -> bool:
    """Return whether the folder has scores of training posts, and a JSON file beside them."""
    place = _place(folder, "train")
    return place is not None and any(find_file(place, f"train_{name}.json") for name in TABLES)


def read_smpd(folder: Path, *, as_of: int | None = None, features: Sequence[str] = ()) -> Dataset:
    """Read a folder in the form of SMPD.

    An item is `{Uid}_{Pid}`. A score s becomes a final count of the metric `view_per_million_days`, 1e6 * 2**(s - 1): the views
    that the post would have after a million days at its mean rate. So s = log2(count / 1e6) + 1, exactly for a score of two
    decimals. Posts without a score are for prediction.

    Args:
        folder: The data set's folder.
        as_of: When the data were collected, unix ms. Default: the last post, because the scores have no time.
        features: Names of columns that become features: the names of the files, or those of `TABLES`.

    Raises:
        DatasetError: The data cannot be used; the error has all problems.
    """
    problems, notes = Problems(), list[Note]()
    posts: list[pl.DataFrame] = []
    scores: list[CounterTable] = []
    named: list[pl.DataFrame] = []
    for part in PARTS:
        place = _place(folder, part)
        if place is None:
            notes.append(Note("info", f"there are no {part} posts"))
            continue
        table = _read_part(place, part, problems, notes)
        items = table.frame["item"]
        images = pl.Series("path", _images(folder, place, part, items, problems, notes), dtype=pl.String)
        posts.append(table.frame.with_columns(images))
        named.append(named_features(table, features)[0])
        if label := find_file(place, f"{part}_label.txt"):
            scores.append(_read_scores(label, items, problems, notes))
    problems.raise_if_any()

    rows = pl.concat(posts)
    twice = rows.filter(pl.col("item").is_duplicated())["item"]
    if len(twice):
        raise DatasetError([f"{folder}: post {twice[0]} is given twice; one row per Uid and Pid is allowed"])
    order = pl.DataFrame({"item": natural_order(rows["item"])})
    authors = _authors(rows, notes)
    rows = order.join(rows, on="item", how="left", maintain_order="left")
    levels = [pl.col(name).str.replace_all("/", "-") for name in TABLES["category"].values()]
    videos = rows.with_columns(category=pl.concat_str(levels, separator="/", ignore_nulls=True).replace("", None))
    details = rows.with_columns(
        pl.lit(None, kind).alias(name) for name, kind in DETAILS.items() if name not in ("item", "hashtags")
    )
    notes.append(Note("info", f"scores are read as {METRIC}: log2(count / {DAYS:,.0f}) + 1 is the score"))
    return assemble(
        folder,
        "smpd",
        None,
        videos=videos.select(VIDEOS.names()).cast(VIDEOS),
        events=None,
        counters=scores,
        notes=notes,
        as_of=as_of,
        details=details.select(DETAILS.names()).cast(DETAILS),
        features=order.join(pl.concat(named, how="vertical_relaxed"), on="item", how="left", maintain_order="left"),
        authors=authors,
    )


def _place(folder: Path, part: str) -> Path | None:
    """Return the folder that holds the files of a part; the scores of training posts must be there."""
    needed = ["label.txt"] if part == "train" else [f"{name}.json" for name in TABLES]
    for place in (folder, folder / part, folder / f"{part}_allmetadata_json"):
        if any(find_file(place, f"{part}_{name}") for name in needed):
            return place
    return None


def _read_part(place: Path, part: str, problems: Problems, notes: list[Note]) -> Tabular:
    """Return one row per post of a part: `item`, `author` and the columns of TABLES, null where a file is absent."""
    paths = {name: find_file(place, f"{part}_{name}.json") for name in TABLES}
    tables = {}
    for name, path in paths.items():
        if path is not None:
            with problems.collected():
                tables[name] = read_json_records(path, {**POST, **TABLES[name]})
    problems.raise_if_any()
    first = next(iter(tables.values()), None)
    if first is None:
        raise DatasetError([f"{place}: no {part}_text.json and no other file that has Uid and Pid of each post"])
    if absent := [f"{part}_{name}.json" for name, path in paths.items() if path is None]:
        notes.append(Note("warning", f"no {', '.join(absent)}: what they hold is missing"))
    ids = [first.ids(name, problems, notes) for name in POST.values()]
    for table in tables.values():
        _check_rows(table, first, problems)
    problems.raise_if_any()

    items = (ids[0] + "_" + ids[1]).alias("item")
    columns = [items, ids[0]]
    for name, names in TABLES.items():
        for column in names.values():
            table = tables.get(name)
            if table is None:
                columns.append(pl.Series(column, [None] * len(items), dtype=pl.String))
            elif column == "published_at":
                columns.append(read_times(table, column, problems, notes, any_form=True))
            elif column in STATISTICS:
                columns.append(_numbers(table, column, problems))
            else:
                columns.append(table.texts(column, problems, notes))
    written = {name: key for names in TABLES.values() for key, name in names.items()}
    frame = pl.DataFrame(columns)
    return Tabular(frame, [Part(place, "row", np.arange(1, frame.height + 1))], {"item": ("item",)}, written)


def _check_rows(table: Tabular, first: Tabular, problems: Problems) -> None:
    """Add problems where a file has other posts than the first one of its part."""
    if table.frame.height != first.frame.height:
        problems.add(
            table.path,
            f"{table.frame.height:,} rows, but {first.path.name} has {first.frame.height:,}; row i of both belongs to one "
            "post",
        )
        return
    for written, name in POST.items():
        mine, other = table.frame[name], first.frame[name]
        wrong = ((mine != other) & mine.is_not_null()).fill_null(False).arg_true().to_numpy()[:LOCATED]
        for place, row in zip(table.where(wrong), wrong):
            problems.add(place, f"{written} is {mine[int(row)]!r}, but {first.path.name} has {other[int(row)]!r} there")


def _read_scores(path: Path, items: pl.Series, problems: Problems, notes: list[Note]) -> CounterTable:
    table = _read_lines(path, "score", problems, notes)
    score = _numbers(table, "score", problems)
    if len(score) != len(items):
        problems.add(path, f"{len(score):,} scores, but there are {len(items):,} posts; line i is the score of row i")
    high = (score > HIGHEST).fill_null(False).arg_true().to_numpy()[:LOCATED]
    for place, row in zip(table.where(high), high):
        problems.add(
            place, f"score is {score[int(row)]:g}; scores up to {HIGHEST} are allowed, because they are logarithms"
        )
    problems.raise_if_any()
    counts = np.round(DAYS * 2.0 ** (score.to_numpy() - 1.0))
    frame = pl.DataFrame([items, pl.Series("value", counts, nan_to_null=True)]).with_columns(
        pl.int_range(len(items)).alias("row"), pl.lit(METRIC).alias("metric"), pl.lit(None, pl.Int64).alias("time")
    )
    return CounterTable(table, frame.select("row", "item", "metric", "time", "value").drop_nulls("value"))


def _read_lines(path: Path, name: str, problems: Problems, notes: list[Note]) -> Tabular:
    """Return one row per line of a text file; an empty line is null."""
    table = read_headless(path, (name,), "\n", notes, problems)
    if table.frame.height and table.frame[name][-1] is None:
        table.frame = table.frame[:-1]  # what follows the last line end
    return table


def _numbers(table: Tabular, name: str, problems: Problems) -> pl.Series:
    column = table.frame[name]
    values = parse_measures(column).values
    wrong = np.flatnonzero((values.is_null() & column.is_not_null()).to_numpy())[:LOCATED]
    for place, row in zip(table.where(wrong), wrong):
        problems.add(place, f"{name} is {column[int(row)]!r}, must be a number")
    return values.alias(name)


def _images(
    folder: Path, place: Path, part: str, items: pl.Series, problems: Problems, notes: list[Note]
) -> list[str | None]:
    """Return the path of each post's image, None where there is no such file."""
    listed = next((path for name in IMAGE_LISTS if (path := find_file(place, f"{part}_{name}.txt"))), None)
    if listed is None:
        notes.append(Note("info", f"no {part}_{IMAGE_LISTS[0]}.txt: the {part} posts have no images"))
        return [None] * len(items)
    lines = _read_lines(listed, "path", problems, notes).frame["path"]
    if len(lines) != len(items):
        problems.add(listed, f"{len(lines):,} paths, but there are {len(items):,} posts; line i is the image of row i")
        return [None] * len(items)
    roots = [root / name.format(part=part) for root in dict.fromkeys((folder, place)) for name in IMAGE_FOLDERS]
    roots = [root for root in roots if root.is_dir()]
    found = []
    for line in lines.fill_null(""):
        within = line.replace("\\", "/").removeprefix("./").removeprefix(f"{part}/")
        found.append(next((str(path) for root in roots if (path := root / within).is_file()), None))
    if absent := found.count(None):
        notes.append(Note("info", f"{absent:,} of {len(found):,} {part} posts have no image file"))
    return found


def _authors(rows: pl.DataFrame, notes: list[Note]) -> pl.DataFrame | None:
    """Return the statistics of authors, all without a time; of an author's rows the first is used."""
    known = [name for name in STATISTICS if rows[name].count()]
    if not known:
        return None
    notes.append(Note("info", "it is unknown when the authors' statistics were taken"))
    frame = rows.select("author", pl.lit(None, pl.Int64).alias("time"), *known)
    return frame.unique("author", keep="first", maintain_order=True).sort("author")
