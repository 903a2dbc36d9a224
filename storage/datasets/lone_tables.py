"""A folder whose only table has a name of its own: which of the plain layout's tables it is, by its columns."""

import re
from pathlib import Path
from typing import Literal

from storage.datasets.column_names import COUNTER_NAMES, COUNTER_TIERS, EVENT_TIERS, VIDEO_TIERS, Tiers, fold, metric_of
from storage.datasets.moments_in_names import age_in, date_in
from storage.datasets.table_files import tables_in
from storage.datasets.tabular import column_names

Role = Literal["videos", "events", "counters"]
_ABOUT_VIDEOS = ("title", "published_at", "description")


def lone_table(folder: Path) -> list[Path]:
    """Return the files of the only table in a folder, whatever its name; none if there is no table, or several.

    Several files are one table if their names differ in digits only, such as dates, or if each describes a video
    (`ID.info.json`, as download programs write).
    """
    tables = tables_in(folder)
    same = {re.sub(r"^.+(?=\.info\.json)|[\d\s_.\-:T]+", "", path.name) for path in tables}
    return tables if len(same) == 1 else []


def role_of(table: Path) -> tuple[Role, str]:
    """Return which table of the plain layout a file is, and the reason in words.

    A row per video has counts and a title or a publication; a row per reading has counts, and its only time is that of the
    reading; a row per event has a time and no count.

    Args:
        table: One of the table's files.
    """
    columns = [fold(name) for name in column_names(table)]
    counts = [name for name in columns if _is_counter(name)]
    about = [name for name in _ABOUT_VIDEOS if _has(columns, name, VIDEO_TIERS)]
    long = all(_has(columns, name, COUNTER_TIERS) for name in COUNTER_NAMES if name != "time")
    if long:
        return "counters", "it has the columns metric and value"
    if counts and not about and _has(columns, "time", COUNTER_TIERS):
        return "counters", "it has counts, and neither a title nor a publication"
    if not counts and not about and _has(columns, "time", EVENT_TIERS):
        return "events", "it has a time, and neither a title nor a column of counts"
    return "videos", "it is the only table"


def _is_counter(name: str) -> bool:
    moment = date_in(name) or age_in(name)
    return metric_of(name if moment is None else moment.rest) is not None


def _has(columns: list[str], name: str, tiers: Tiers) -> bool:
    spellings = {fold(name), *(fold(spelling) for tier in tiers.get(name, ()) for spelling in tier)}
    return not spellings.isdisjoint(columns)
