"""An in-memory cache of the stages' current states.

A run reads them about a hundred times, and a stage consists of many small parts.
"""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import polars as pl

ROWS = 3_000_000  # most rows in the cache, about 250 bytes each; the least recently used stages are evicted first
Mark = tuple[
    int, int, int
]  # a part's size, modification time and inode; a part that was changed in place is read again

_kept: OrderedDict[Path, tuple[dict[Path, Mark], pl.DataFrame]] = OrderedDict()


def marks_of(files: Iterable[Path]) -> dict[Path, Mark]:
    """Return the marks of the files that exist."""
    marks = {}
    for file in files:
        try:
            stat = file.stat()
        except FileNotFoundError:
            continue
        marks[file] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return marks


def recall(folder: Path, marks: dict[Path, Mark]) -> tuple[set[Path], pl.DataFrame | None]:
    """Return the cached states of a stage.

    Args:
        folder: The stage's folder.
        marks: The marks of the stage's present parts.

    Returns:
        The parts that the cached states were read from, and the current state of each item in them. An empty set and None
        if the stage is not cached, or one of those parts was removed or changed.
    """
    known, frame = _kept.get(folder, ({}, None))
    if frame is None or not known.items() <= marks.items():
        return set(), None
    _kept.move_to_end(folder)
    return set(known), frame


def remember(folder: Path, marks: dict[Path, Mark], frame: pl.DataFrame) -> None:
    """Cache a stage's current states.

    Args:
        folder: The stage's folder.
        marks: The marks of the parts that the states were read from.
        frame: The current state of each item.
    """
    _kept[folder] = (marks, frame)
    _kept.move_to_end(folder)
    while len(_kept) > 1 and sum(len(kept) for _, kept in _kept.values()) > ROWS:
        _kept.popitem(last=False)
