"""A folder whose only table has a name of its own: which of the plain layout's tables it is, by its columns."""

import re
from pathlib import Path
from typing import Literal

from storage.datasets.column_names import COUNTER_TIERS, EVENT_TIERS, VIDEO_NAMES, VIDEO_TIERS, Tiers, fold, metric_of
from storage.datasets.errors import DatasetError
from storage.datasets.moments_in_names import age_in, date_in
from storage.datasets.table_files import tables_in
from storage.datasets.tabular import column_names

Role = Literal["videos", "events", "counters"]
_TEXTS = ("title", "description")
_ABOUT_VIDEOS = tuple(name for name in {**VIDEO_NAMES, **VIDEO_TIERS} if name not in ("item", "scraped_at"))


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

    A row of `counters` has counts and a time, and nothing else about the video. A row of `events` has a time, and neither
    counts nor texts. All other tables are read as `videos`.

    Args:
        table: One of the table's files.

    Raises:
        DatasetError: The file cannot be read, or has neither counts nor a time of events.
    """
    written = column_names(table)
    columns = [fold(name) for name in written]

    def has(*names: str, tiers: Tiers) -> bool:
        return any(_spelled(columns, name, tiers) for name in names)

    counted = any(map(_is_counter, columns))
    if has("metric", tiers=COUNTER_TIERS) and has("value", tiers=COUNTER_TIERS):
        return "counters", "it has the columns metric and value"
    if counted and has("time", tiers=COUNTER_TIERS) and not has(*_ABOUT_VIDEOS, tiers=VIDEO_TIERS):
        return "counters", "it has counts and a time, and nothing else about the videos"
    if not counted and has("time", tiers=EVENT_TIERS) and not has(*_TEXTS, tiers=VIDEO_TIERS):
        return "events", "it has a time, and neither counts nor titles"
    if not counted:
        raise DatasetError(
            [
                f"{table}: the only table has neither counts (views, likes, ...) nor a time of events (time, timestamp, ...); "
                f"rename the column that is meant. Its columns are {', '.join(written)}"
            ]
        )
    return "videos", "it is the only table"


def _is_counter(name: str) -> bool:
    moment = date_in(name) or age_in(name)
    return metric_of(name if moment is None else moment.rest) is not None


def _spelled(columns: list[str], name: str, tiers: Tiers) -> bool:
    spellings = {fold(name), *(fold(spelling) for tier in tiers.get(name, ()) for spelling in tier)}
    return not spellings.isdisjoint(columns)
