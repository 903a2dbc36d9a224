"""Columns that hold a counter at one moment, such as `views_2024-01-03` or `likes_24h`."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from storage.datasets.clock import tell_moment
from storage.datasets.column_names import metric_of
from storage.datasets.dataset import Note
from storage.datasets.moments_in_names import HOUR_MS, NamedMoment, age_in, date_in
from storage.datasets.tabular import Tabular


@dataclass(frozen=True)
class SnapshotColumn:
    """A column whose name says which counter it holds, and when it was read off.

    Attributes:
        column: Its name in the table.
        metric: The counter.
        moment: When it was read off.
    """

    column: str
    metric: str
    moment: NamedMoment

    def times(self, published: pl.Series) -> pl.Series:
        """Return when each row's count was read off, unix ms; null if that needs a publication that is unknown.

        Args:
            published: (rows,) publication, unix ms.
        """
        if self.moment.age is not None:
            return published + self.moment.age
        return pl.repeat(self.moment.at, len(published), dtype=pl.Int64, eager=True)


def snapshot_columns(table: Tabular, notes: list[Note], *, leave: Collection[str] = ()) -> list[SnapshotColumn]:
    """Return the columns of a table that hold a usual counter at a moment, and tell one of each kind.

    Args:
        table: The table.
        notes: What was assumed is added here.
        leave: Columns that are no counters, whatever their name.
    """
    found = []
    for column in table.further:
        moment = None if column in leave else date_in(column) or age_in(column)
        if moment is not None and (metric := metric_of(moment.rest)):
            found.append(SnapshotColumn(column, metric, moment))
    dated = [one for one in found if one.moment.at is not None]
    aged = [one for one in found if one.moment.age is not None]
    told = [f"{one.column!r} is read as {one.metric} at {tell_moment(one.moment.at)}" for one in dated[:1]]
    told += [
        f"{one.column!r} is read as {one.metric} {one.moment.age // HOUR_MS} hours after the publication"
        for one in aged[:1]
    ]
    if told:
        notes.append(Note("info", f"{table.name}: {len(found):,} columns are snapshots of counters: {', '.join(told)}"))
    return found
