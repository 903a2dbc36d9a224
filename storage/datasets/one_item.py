"""Feedback of one item from a file: events (`time[,type][,user]`) or counts that were read off (`time,views,...`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.clean_events import clean_events
from storage.datasets.clock import end_of_data, tell_moment
from storage.datasets.column_names import EVENT_NAMES, EVENT_TIERS, fold, metric_of
from storage.datasets.counters import CounterTable, clean_counters, read_counter_table
from storage.datasets.dataset import COUNTERS, EVENTS, VIDEOS, Note
from storage.datasets.errors import SHOWN, DatasetError, Problems
from storage.datasets.plain import read_event_table
from storage.datasets.tabular import Tabular, read_tabular

COLUMNS = (
    "allowed are time[,type][,user] with one row per event, or time and one column per counter (views, likes, ...)"
)


@dataclass(frozen=True)
class ItemFeedback:
    """Feedback of one item.

    Attributes:
        events: Columns of EVENTS, and `order` (rank by time, from 0).
        counters: Columns of COUNTERS.
        end: Moment up to which the feedback is known, unix ms.
        notes: Remarks on what was assumed or left out.
    """

    events: pl.DataFrame
    counters: pl.DataFrame
    end: int
    notes: list[Note]


def read_item_feedback(
    path: Path,
    item: str,
    *,
    published_at: int | None,
    at: int | None,
    types: Collection[str],
    metrics: Collection[str],
) -> ItemFeedback:
    """Read one item's feedback.

    Args:
        path: A CSV, JSON or parquet file. A column `item` is not read: every row belongs to the item.
        item: The item's id.
        published_at: Publication, unix ms, or None.
        at: Moment of the forecast, unix ms; later feedback is left out. None: the last event or count.
        types: Types of events of the data set.
        metrics: Metrics of the data set's counters.

    Raises:
        DatasetError: The file cannot be read, lacks a column, holds a time before the publication, or an unknown type or
            metric; or `at` is before its first row.
    """
    if not path.is_file():
        raise DatasetError([f"{path}: there is no such file; {COLUMNS}"])
    problems, notes = Problems(), list[Note]()
    counted, rows = _holds_counts(path)
    if not rows and at is not None:
        return ItemFeedback(in_order(EVENTS.to_frame()), COUNTERS.to_frame(), at, notes)
    if not rows:
        raise DatasetError([f"{path}: there are no events; state the moment of the forecast (at)"])
    if counted:
        counts = read_counter_table([path], problems, notes, item=item)
        table, rows = counts.table, counts.frame
        what, known, names = "metric", metrics, rows["metric"]
    else:
        table, rows = read_event_table([path], problems, notes, item=item)
        what, known, names = "type", types, rows["type"]
    problems.raise_if_any()
    places = rows["row"] if counted else pl.int_range(len(rows), eager=True)
    _refuse(table, places, ~names.is_in(list(known)), problems, lambda row: _unknown(what, names[row], known))
    if published_at is not None:
        early = (rows["time"] < published_at).fill_null(False)
        _refuse(table, places, early, problems, lambda row: _too_early(rows["time"][row], published_at))
    problems.raise_if_any()
    times = rows["time"].drop_nulls()
    if not len(times):
        raise DatasetError([f"{path}: no row has a time; {COLUMNS}"])
    if at is not None and at < times.min():
        raise DatasetError(
            [f"{path}: the forecast's moment {tell_moment(at)} is before its first row, {tell_moment(times.min())}"]
        )
    end = end_of_data(times.to_numpy()) if at is None else at
    events, counters = EVENTS.to_frame(), COUNTERS.to_frame()
    if counted:
        counters = clean_counters([CounterTable(table, rows)], _video(item, published_at), notes, as_of=end)
    else:
        events = clean_events(table, rows, [item], notes, as_of=end, stated=at is not None).frame
    return ItemFeedback(in_order(events), counters.drop_nulls("time"), end, notes)


def in_order(events: pl.DataFrame) -> pl.DataFrame:
    """Return sorted events of one item with their rank, `order`."""
    return events.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("order"))


def _holds_counts(path: Path) -> tuple[bool, int]:
    """Return whether a file holds counters (it has a column of a metric, and no type of events), and its number of rows."""
    table = read_tabular([path], names=EVENT_NAMES, tiers=EVENT_TIERS, required=(), notes=[])
    columns = table.frame.columns
    if "time" not in columns:
        raise DatasetError([f"{path}: no column of times among {', '.join(columns)}; {COLUMNS}"])
    counted = "type" not in columns and any(metric_of(name) or fold(name) == "metric" for name in columns)
    return counted, len(table.frame)


def _refuse(table: Tabular, places: pl.Series, wrong: pl.Series, problems: Problems, explain) -> None:
    """Add a problem for the first rows that are wrong, one per text."""
    told: set[str] = set()
    for row in np.flatnonzero(wrong.to_numpy()).tolist():
        text = explain(row)
        if text not in told:
            problems.add(table.where([places[row]])[0], text)
            told.add(text)
        if len(told) == SHOWN:
            break


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    allowed = ", ".join(sorted(known)) or "none, the data set has no such feedback"
    return f"{what} {name!r} does not occur in the data set; allowed are {allowed}"


def _too_early(time: int, published_at: int) -> str:
    return f"{tell_moment(time)} is before the publication, {tell_moment(published_at)}"


def _video(item: str, published_at: int | None) -> pl.DataFrame:
    row: dict[str, Sequence[object]] = {name: [None] for name in VIDEOS.names()}
    return pl.DataFrame({**row, "item": [item], "published_at": [published_at]}, schema=VIDEOS)
