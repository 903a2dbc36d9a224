"""The cleaning of events: cut at the end of the data, deduplicated and sorted, with notes about anything unusual."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from storage.datasets.clock import end_of_data, tell_moment
from storage.datasets.dataset import EVENTS, Note
from storage.datasets.ids import loose_id
from storage.datasets.tabular import Tabular

EXAMPLES = 3


@dataclass(frozen=True)
class CleanEvents:
    """The cleaned events of a data set, as `Dataset` has them.

    Attributes:
        frame: The columns of EVENTS.
        further: The further columns, one row per event.
        duplicates: Number of duplicate rows that were dropped.
    """

    frame: pl.DataFrame
    further: pl.DataFrame
    duplicates: int


NO_EVENTS = CleanEvents(EVENTS.to_frame(), pl.DataFrame(), 0)


def clean_events(
    table: Tabular, events: pl.DataFrame, order: list[str], notes: list[Note], *, as_of: int, stated: bool
) -> CleanEvents:
    """Drop events after the end of the data and exact duplicates, and sort the rest.

    Of equal events the first stays. Events without a user are never duplicates, because several people may do the same
    thing at the same time.

    Args:
        table: The file or files that the events come from, with the same rows.
        events: The columns of EVENTS, in which only users may be null, and the table's further columns.
        order: All items, in the order of the result. Events are sorted by item, then time, then row.
        notes: Notes are added to this list.
        as_of: End of the data, unix ms.
        stated: Whether the user stated it; otherwise later events are isolated ones (`clock.end_of_data`).
    """
    times, end = events["time"].to_numpy(), as_of
    after = np.flatnonzero(times > end)
    if len(after):
        why = "" if stated else ", because a long gap precedes them. If they are real, set data.as_of"
        text = f"are after {tell_moment(end)}, the end of the data, and are not used{why}."
        notes.append(Note("warning", _apart(table, events, after, text)))
    start = -end_of_data(-times[times <= end]) if len(after) < len(times) else end
    before = np.flatnonzero(times < start)
    if len(before):
        text = f"are before {tell_moment(start)}, and a long gap follows them; check whether their times are right."
        notes.append(Note("warning", _apart(table, events, before, text)))

    kept = events.with_row_index("row").filter(pl.col("time") <= end)
    compared = [name for name in events.columns if not events.schema[name].is_nested()]
    named = kept.filter(pl.col("user").is_not_null())
    distinct = named.unique(compared, keep="first")
    duplicates = named.height - distinct.height
    if duplicates:
        stay = kept.height - duplicates
        notes.append(Note("info", f"{table.name}: {duplicates:,} exact duplicate rows dropped, {stay:,} events kept"))
    if named.height < kept.height:
        unnamed = kept.filter(pl.col("user").is_null())
        alike = unnamed.height - unnamed.select(compared).unique().height
        if alike:
            notes.append(
                Note("info", f"{table.name}: {alike:,} rows without a user equal another row; each counts as an event")
            )
        distinct = pl.concat([distinct, unnamed])
    _note_spellings_of_types(table, distinct["type"], notes)
    rank = pl.col("item").cast(pl.Enum(order)).to_physical()
    sorted_events = distinct.sort(rank, "time", "row")
    return CleanEvents(
        sorted_events.select(EVENTS.names()).cast(EVENTS), sorted_events.select(table.further), duplicates
    )


def _apart(table: Tabular, events: pl.DataFrame, rows: np.ndarray, text: str) -> str:
    examples = [
        f"{place} (item {events['item'][int(row)]}, {tell_moment(events['time'][int(row)])})"
        for place, row in zip(table.where(rows[:EXAMPLES]), rows)
    ]
    return f"{len(rows):,} of {len(events):,} events {text} First: {'; '.join(examples)}"


def _note_spellings_of_types(table: Tabular, types: pl.Series, notes: list[Note]) -> None:
    counts = dict(types.value_counts(sort=True, name="events").iter_rows())
    spellings: dict[str, list[str]] = {}
    for name in counts:
        spellings.setdefault(name.strip().casefold(), []).append(name)
    for same in spellings.values():
        if len(same) > 1:
            names = ", ".join(f"{name!r} ({counts[name]:,} events)" for name in same)
            notes.append(
                Note(
                    "warning", f"{table.name}: {names} differ only in case, and count as {len(same)} types of feedback"
                )
            )


def check_items(
    items: Iterable[str], sources: Sequence[Collection[str]], feedback: Mapping[str, pl.Series], notes: list[Note]
) -> None:
    """Add notes about feedback of unlisted items, and about items that occur in several spellings.

    Args:
        items: All items.
        sources: The items of each list, and the items that have a media file.
        feedback: The item of each row of feedback, by what the rows are: "events", "counts".
        notes: Notes are added to this list.
    """
    listed = set().union(*sources)
    if not listed:
        return
    for what, rows in feedback.items():
        _note_strangers(rows, listed, what, notes)
    named = [set(source) for source in (*sources, *(rows.unique() for rows in feedback.values())) if len(source)]
    if len(set.intersection(*named)) == len(set.union(*named)):
        return  # all sources have the same items, so none can be another one's misspelling
    alike: dict[str, list[str]] = {}
    for item in items:
        alike.setdefault(loose_id(item), []).append(item)
    twins = [same for same in alike.values() if len(same) > 1 and not any(source.issuperset(same) for source in named)]
    if twins:
        notes.append(
            Note(
                "warning",
                f"{len(twins):,} items seem to occur in several spellings (leading zeros, case, a suffix), which count as "
                f"different items: {'; '.join(_quoted(same) for same in twins[:EXAMPLES])}",
            )
        )


def _note_strangers(rows: pl.Series, listed: set[str], what: str, notes: list[Note]) -> None:
    strangers = rows.filter(~rows.is_in(list(listed)))
    if strangers.is_empty():
        return
    text = f"{len(strangers):,} of {len(rows):,} {what} belong to {strangers.n_unique():,} items that are in no list"
    text += f", such as {_quoted(strangers.unique().sort().head(EXAMPLES))}"
    most = len(strangers) > len(rows) / 2
    if most:
        text += f"; the lists have items such as {_quoted(sorted(listed)[:EXAMPLES])}. Are the ids spelled differently?"
    notes.append(Note("warning" if most else "info", text))


def _quoted(items: Iterable[str]) -> str:
    return ", ".join(map(repr, items))


def check_publication(videos: pl.DataFrame, events: pl.DataFrame, as_of: int, notes: list[Note]) -> None:
    """Add notes about items with feedback before their publication, and about items published after the end of the data.

    Args:
        videos: The columns of VIDEOS.
        events: The cleaned events.
        as_of: End of the data, unix ms.
        notes: Notes are added to this list.
    """
    first = events.group_by("item").agg(first=pl.col("time").min())
    early = videos.join(first, on="item").filter(pl.col("first") < pl.col("published_at"))
    if early.height:
        example = early.row(0, named=True)
        notes.append(
            Note(
                "warning",
                f"{early.height:,} items have feedback before their publication, first: item {example['item']}, "
                f"published at {tell_moment(example['published_at'])}, first event at {tell_moment(example['first'])}",
            )
        )
    future = videos.filter(pl.col("published_at") > as_of)
    if future.height:
        example = future.row(0, named=True)
        notes.append(
            Note(
                "warning",
                f"{future.height:,} items are published after the end of the data, {tell_moment(as_of)}, first: item "
                f"{example['item']}, at {tell_moment(example['published_at'])}",
            )
        )
