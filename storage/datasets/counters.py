"""Counters: tables of counts that were read off now and then, and the rules by which they are cleaned."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.clock import read_times, tell_moment
from storage.datasets.column_names import (
    COUNTER_NAMES,
    COUNTER_TIERS,
    PLAIN_TIMES,
    VIDEO_NAMES,
    VIDEO_TIERS,
    fold,
    metric_of,
)
from storage.datasets.counts import common_mark, parse_counts
from storage.datasets.dataset import COUNTERS, Note
from storage.datasets.errors import LOCATED, DatasetError, Problems
from storage.datasets.moments_in_names import date_in
from storage.datasets.snapshot_columns import SnapshotColumn, snapshot_columns
from storage.datasets.tabular import Tabular, read_tabular

# Columns that describe an item and are no counter, although they may be numbers.
_TIMES = {fold(name) for tier in (PLAIN_TIMES, *COUNTER_TIERS["time"]) for name in tier}
_ABOUT_ITEMS = _TIMES | {fold(name) for tiers in VIDEO_TIERS.values() for tier in tiers for name in tier}
_ABOUT_ITEMS |= set(map(fold, VIDEO_NAMES))
MISTYPED = 9  # a column of unknown name with fewer numbers per other value is no counter
LARGEST = 2**53  # counts are parsed as float64, which has every smaller whole number


@dataclass(frozen=True)
class CounterTable:
    """The counts of one table, before they are cleaned.

    Attributes:
        table: Where the rows are.
        frame: row (of the table), item, metric, time (unix ms, null if unknown), value (Float64), without missing values.
    """

    table: Tabular
    frame: pl.DataFrame


def read_counter_table(
    paths: Sequence[Path], problems: Problems, notes: list[Note], *, item: str | None = None
) -> CounterTable:
    """Read a table of counters: wide (`item,time` and one column per metric) or long (`item,time,metric,value`).

    Args:
        paths: The table's files.
        problems: Problems are added here.
        notes: What was assumed is added here.
        item: The item of every row. None: the table names it.

    Raises:
        DatasetError: The file cannot be read, has no rows or no metric.
    """
    required = () if item is not None else ("item",)
    table = read_tabular(paths, names=COUNTER_NAMES, tiers=COUNTER_TIERS, required=required, notes=notes)
    if not table.frame.height:
        raise DatasetError([f"{table.path}: there are no counts"])
    items = table.ids_or(item, problems, notes)
    snapshots = snapshot_columns(table, notes)
    times = read_count_times(table, "time", problems, notes, told=not snapshots)
    long = {"metric", "value"} & set(table.frame.columns)
    if len(long) == 1:
        (there,) = long
        raise DatasetError(
            [
                f"{table.path}: column {table.written[there]!r} is read as {there}, but there is no column "
                f"{'value' if there == 'metric' else 'metric'}; allowed are item,time,metric,value, or item,time and one "
                "column per metric, named after it"
            ]
        )
    if long:
        metrics = table.texts("metric", problems, notes)
        table.report_empty(metrics, problems)
        spellings = {name: metric_of(name) or name for name in metrics.drop_nulls().unique(maintain_order=True)}
        _tell_metrics(table, spellings, notes)
        frame = _counts(table, "value", items, times, metrics.replace_strict(spellings, default=None), problems, notes)
        table.tell_further(notes)
        return CounterTable(table, frame)
    columns = metric_columns(table, problems, any_number=True, leave=[one.column for one in snapshots])
    if not (columns or snapshots):
        raise DatasetError(
            [
                f"{table.path}: no column of counts among {', '.join(table.frame.columns)}; allowed are "
                "item,time,metric,value, or item,time and one column per metric, named after it"
            ]
        )
    table.tell_further(notes, used={*columns.values(), *(one.column for one in snapshots)})
    if about := [column for column in table.further if fold(column) in _ABOUT_ITEMS - _TIMES]:
        text = f"{table.name}: {', '.join(about)} describe items and are not read here; put them into videos.csv"
        notes.append(Note("warning", text))
    return wide_counts(table, columns, items, times, problems, notes, snapshots=snapshots)


def read_count_times(
    table: Tabular, name: str, problems: Problems, notes: list[Note], *, told: bool = True
) -> pl.Series:
    """Return when each row's counts were taken, unix ms; null where the table does not say.

    If the table has no such column, but parts that repeat items and are named by date, the dates of the names are taken.

    Args:
        table: The table.
        name: The column of times.
        problems: Problems are added here.
        notes: What was assumed is added here.
        told: Whether a note tells how many rows have no time.
    """
    if name in table.frame.columns:
        times = read_times(table, name, problems, notes, any_form=True)
    elif (dates := _dates_of_parts(table)) is not None:
        times = dates
        notes.append(
            Note(
                "info",
                f"{table.name}: its counts were taken at the dates in its files' names, 00:00 UTC if only a date",
            )
        )
    else:
        times = pl.Series(name, [None] * table.frame.height, dtype=pl.Int64)
    unknown = times.null_count()
    if unknown and told:
        among = "every row" if unknown == len(times) else f"{unknown:,} of {len(times):,} rows"
        notes.append(Note("info", f"{table.name}: {among} without a time: final counts"))
    return times


def _dates_of_parts(table: Tabular) -> pl.Series | None:
    """Return the date in the name of each row's file or folder; None unless files have one each and repeat items."""
    paths = table.part_paths()
    dates = {path: date_in(Path(path).name.split(".")[0]) or date_in(Path(path).parent.name) for path in paths.unique()}
    moments = {moment.at for moment in dates.values() if moment is not None}
    if len(dates) < 2 or len(moments) < len(dates):
        return None
    parts = table.frame.select("item", part=paths).unique()
    if parts["item"].is_unique().all():
        return None
    return paths.replace_strict({path: moment.at for path, moment in dates.items()}, return_dtype=pl.Int64)


def metric_columns(
    table: Tabular, problems: Problems, *, any_number: bool, leave: Collection[str] = ()
) -> dict[str, str]:
    """Return metric -> column of a wide table.

    Args:
        table: The table.
        problems: Problems are added here: two columns of one metric.
        any_number: Whether a further column of whole numbers is a metric too, unless it usually describes items. Otherwise only
            columns with usual names of counters are metrics.
        leave: Columns that are no metrics, whatever their name.
    """
    columns: dict[str, str] = {}
    for column in table.further:
        if column in leave:
            continue
        metric = metric_of(column)
        if metric is None:
            if not any_number or fold(column) in _ABOUT_ITEMS or not _whole_numbers(table.frame[column]):
                continue
            metric = column
        if metric in columns:
            problems.add(
                table.path,
                f"columns {columns[metric]!r} and {column!r} may each be the counter {metric}; rename or remove one",
            )
        columns.setdefault(metric, column)
    return columns


def _whole_numbers(column: pl.Series) -> bool:
    counts = parse_counts(column)
    values = counts.values.drop_nulls()
    return len(values) > MISTYPED * len(counts.wrong) and (values == values.floor()).all()


def wide_counts(
    table: Tabular,
    columns: Mapping[str, str],
    items: pl.Series,
    times: pl.Series,
    problems: Problems,
    notes: list[Note],
    *,
    snapshots: Sequence[SnapshotColumn] = (),
    published: pl.Series | None = None,
) -> CounterTable:
    """Return the counts of a wide table.

    Args:
        table: The table.
        columns: Metric -> column.
        items: (rows,) items.
        times: (rows,) when the counts were taken, unix ms, or null.
        problems: Problems are added here: values that are no numbers.
        notes: What was assumed is added here.
        snapshots: Columns that hold a metric at a moment of their own.
        published: (rows,) publication of each row's item, unix ms or null. Default: unknown.
    """
    _tell_metrics(table, {column: metric for metric, column in columns.items()}, notes)
    if published is None:
        published = pl.repeat(None, len(items), dtype=pl.Int64, eager=True)
    mark = common_mark([table.frame[column] for column in (*columns.values(), *(one.column for one in snapshots))])

    def counts(column: str, metric: str, taken: pl.Series) -> pl.DataFrame:
        metrics = pl.repeat(metric, len(items), eager=True)
        return _counts(table, column, items, taken, metrics, problems, notes, mark=mark)

    frames = [counts(column, metric, times) for metric, column in columns.items()]
    # a count at an unknown moment is no final count
    frames += [counts(one.column, one.metric, one.times(published)).drop_nulls("time") for one in snapshots]
    return CounterTable(table, pl.concat(frames))


def _tell_metrics(table: Tabular, metrics: Mapping[str, str], notes: list[Note]) -> None:
    told = [f"{column!r} is read as {metric}" for column, metric in metrics.items() if column != metric]
    if told:
        notes.append(Note("info", f"{table.name}: {', '.join(told)}"))


def _counts(
    table: Tabular,
    column: str,
    items: pl.Series,
    times: pl.Series,
    metrics: pl.Series,
    problems: Problems,
    notes: list[Note],
    *,
    mark: str | None = None,
) -> pl.DataFrame:
    counts = parse_counts(table.frame[column], mark=mark)
    if counts.problem:
        problems.add(table.path, f"{column}: {counts.problem}; write whole numbers without points and commas")
    if counts.told:
        notes.append(Note("info", f"{table.name}: {column}: {counts.told}"))
    large = np.flatnonzero((counts.values.abs() >= LARGEST).fill_null(False).to_numpy())
    wrong = np.concatenate([counts.wrong, large])[:LOCATED]
    for place, row in zip(table.where(wrong), wrong):
        problems.add(place, f"{column} is {table.frame[column][int(row)]!r}, must be a count")
    frame = pl.DataFrame(
        {
            "row": pl.int_range(len(items), eager=True),
            "item": items,
            "metric": metrics.cast(pl.String),
            "time": times,
            "value": counts.values,
        }
    )
    return frame.drop_nulls(["item", "metric", "value"])


def clean_counters(
    tables: Sequence[CounterTable], videos: pl.DataFrame, notes: list[Note], *, as_of: int
) -> pl.DataFrame:
    """Return the counts of all tables, cleaned and sorted as `Dataset.counters` is.

    The rules, in this order; each one's rows are told once, with their number and the first of them:

    1. A negative count is left out.
    2. A count after the end of the data, or before its item's publication, is left out.
    3. A fraction is rounded to the nearest whole number.
    4. Of several counts of one item, metric and time, the largest stays.
    5. A count that is below an earlier one of its item and metric is raised to it: it becomes the largest so far.
       Nothing later than a count changes it. A count without a time comes last.

    Args:
        tables: The tables.
        videos: The columns of VIDEOS, in the order of the result.
        notes: Notes are added to this list.
        as_of: End of the data, unix ms.
    """
    if not tables:
        return COUNTERS.to_frame()
    frame = pl.concat([table.frame.with_columns(source=pl.lit(number)) for number, table in enumerate(tables)])
    frame = frame.join(videos.select("item", "published_at"), on="item", how="left", maintain_order="left")

    def told(rule: pl.Expr, text: str) -> bool:
        """Tell the counts to which a rule applies, and return whether there are any."""
        rows = frame.filter(rule)
        if rows.is_empty():
            return False
        first = rows.sort("source", "row").row(0, named=True)
        table = tables[first["source"]].table
        moment = "" if first["time"] is None else f", {tell_moment(first['time'])}"
        count = f"{first['metric']} {first['value']:,.15g}{moment}"
        place = f"{table.where([first['row']])[0]} (item {first['item']}, {count})"
        among = f"{rows.height:,} of {frame.height:,} counts"
        notes.append(Note("warning", f"{table.name}: {among} {text}. First: {place}"))
        return True

    value, time = pl.col("value"), pl.col("time")
    for rule, text in (
        (value < 0, "are negative and are left out"),
        (time > as_of, f"are after {tell_moment(as_of)}, the end of the data, and are not used"),
        (time < pl.col("published_at"), "were taken before their item's publication and are not used"),
    ):
        if told(rule, text):
            frame = frame.filter(~rule.fill_null(False))
    if told(value != value.floor(), "are fractions and are rounded"):
        frame = frame.with_columns((value + 0.5).floor())
    # in the order of the items, then metric, time and falling value; so the first of equal times is the largest
    rank = pl.col("item").cast(pl.Enum(videos["item"])).to_physical()
    code = pl.col("metric").cast(pl.Enum(frame["metric"].unique().sort())).to_physical()
    frame = frame.with_columns(value.cast(pl.Int64), rank=rank, code=code)
    frame = frame.sort("rank", "code", "time", "value", descending=[False, False, False, True], nulls_last=True)
    key = ("rank", "code", "time")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift()) for name in key)
    same &= pl.int_range(pl.len()) > 0
    if frame.select(same.any()).item():
        largest = value.first().over(key)
        told(value < largest, "differ from a larger one of the same item and time and are left out")
        frame = frame.filter(~same)
    so_far = value.cum_max().over("rank", "code")
    if told(value < so_far, "are below an earlier one of their item, and are raised to it"):
        frame = frame.with_columns(so_far)
    counts = frame.select(COUNTERS.names()).cast(COUNTERS)
    _note_likes(counts, tables[0].table.name, notes)
    return counts


def _note_likes(frame: pl.DataFrame, name: str, notes: list[Note]) -> None:
    """Add a warning about items with more likes than views."""
    likes, views = (frame.filter(pl.col("metric").is_in(names)) for names in (["like"], ["view", "play"]))
    pairs = likes.join(views, on=["item", "time"], nulls_equal=True, suffix="_seen", maintain_order="left")
    impossible = pairs.filter(pl.col("value") > pl.col("value_seen"))
    if impossible.height:
        first = impossible.row(0, named=True)
        notes.append(
            Note(
                "warning",
                f"{name}: {impossible['item'].n_unique():,} items have more likes than views, first: item {first['item']} "
                f"({first['value']:,} likes, {first['value_seen']:,} views); both counts are used",
            )
        )
