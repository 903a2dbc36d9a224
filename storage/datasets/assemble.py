"""The last steps of every layout: the end of the data, the cleaning of feedback, and the data set as one object."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from storage.datasets.clean_events import NO_EVENTS, check_publication, clean_events
from storage.datasets.clock import end_of_data, tell_moment
from storage.datasets.counters import CounterTable, clean_counters
from storage.datasets.dataset import DETAILS, Dataset, Layout, Note
from storage.datasets.errors import DatasetError
from storage.datasets.tabular import Tabular


def assemble(
    folder: Path,
    layout: Layout,
    prefix: str | None,
    *,
    videos: pl.DataFrame,
    events: tuple[Tabular, pl.DataFrame] | None,
    counters: Sequence[CounterTable],
    notes: list[Note],
    as_of: int | None,
    details: pl.DataFrame | None = None,
    features: pl.DataFrame | None = None,
    further: Mapping[str, pl.DataFrame] | None = None,
    authors: pl.DataFrame | None = None,
) -> Dataset:
    """Clean events and counters, and return the data set.

    Args:
        folder: The data set's folder.
        layout: The layout that was read.
        prefix: The prefix of a MicroLens layout.
        videos: The columns of VIDEOS, one row per item that any table names.
        events: The table of events, and its rows as `clean_events` takes them; None if there is none.
        counters: The tables of counters.
        notes: Notes are added to this list, which becomes the data set's.
        as_of: When the data were collected, unix ms. By default the last event or count that is not isolated.
        details: See `Dataset`; default: all null.
        features: See `Dataset`; default: only `item`.
        further: Further columns by table; default: none.
        authors: See `Dataset`.

    Raises:
        DatasetError: No event and no count is left.
    """
    order = videos["item"].to_list()
    end = _end(folder, videos, events, counters, notes) if as_of is None else as_of
    clean = NO_EVENTS if events is None else clean_events(*events, order, notes, as_of=end, stated=as_of is not None)
    counts = clean_counters(counters, videos, notes, as_of=end)
    if clean.frame.is_empty() and counts.is_empty():
        raise DatasetError([_nothing_left(events, counters, end)])
    check_publication(videos, clean.frame, end, notes)
    in_order = videos.select("item")
    aside = dict(further or {})
    if clean.further.width:
        aside["events"] = clean.further
    return Dataset(
        folder,
        layout,
        prefix,
        videos,
        clean.frame,
        aside,
        end,
        clean.duplicates,
        notes,
        counters=counts,
        details=in_order.with_columns(pl.lit(None, kind).alias(name) for name, kind in list(DETAILS.items())[1:])
        if details is None
        else details,
        features=in_order if features is None else features,
        authors=authors,
    )


def _nothing_left(events: tuple[Tabular, pl.DataFrame] | None, counters: Sequence[CounterTable], end: int) -> str:
    """Return why no event and no count is left."""
    if events is not None:
        first = tell_moment(events[1]["time"].min())
        return f"{events[0].path}: data.as_of is {tell_moment(end)}, but its first event is at {first}; set a later data.as_of"
    if all(table.frame.is_empty() for table in counters):
        return f"{counters[0].table.path}: there are no counts; every value is missing"
    return (
        f"{counters[0].table.path}: no count can be used. Negative counts, those before their item's publication and those "
        f"after the end of the data, {tell_moment(end)}, are left out; data.as_of sets the end"
    )


def _end(
    folder: Path,
    videos: pl.DataFrame,
    events: tuple[Tabular, pl.DataFrame] | None,
    counters: Sequence[CounterTable],
    notes: list[Note],
) -> int:
    """Return the end of the data if it is not stated, with a note that tells it as a date."""
    told = {
        "event": [] if events is None else [events[1]["time"]],
        # counts of several metrics that were taken together are one
        "count": [table.frame.unique(["item", "time"])["time"].drop_nulls() for table in counters],
    }
    times = {what: np.concatenate([np.empty(0, np.int64), *series]) for what, series in told.items()}
    both = np.concatenate(list(times.values()))
    if len(both):
        end = end_of_data(both)
        what = "count" if end in times["count"] else "event"
        notes.append(
            Note(
                "info", f"the data end at {tell_moment(end)}, the last {what}; set data.as_of if they were taken later"
            )
        )
        return end
    published = videos["published_at"].drop_nulls().to_numpy()
    if len(published):
        end, what = end_of_data(published), "the last publication"
    else:
        files = [file for file in folder.iterdir() if file.is_file()]
        end = round(max(file.stat().st_mtime for file in files) * 1000)
        what = "the last change of a file"
    notes.append(
        Note(
            "warning",
            f"no count has a time, so the data are taken to end at {tell_moment(end)}, {what}; set data.as_of to the time "
            "at which they were taken",
        )
    )
    return end
