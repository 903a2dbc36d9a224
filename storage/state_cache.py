"""Current states of stages, kept in memory: one run asks for them some hundred times, and a stage has many small parts."""

from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import polars as pl

ROWS = 3_000_000  # kept over all stages, some 250 bytes each; the stages asked for longest ago go first
Mark = tuple[int, int, int]  # a part's size, time of change and inode: a part that was changed in place is read again

_kept: OrderedDict[Path, tuple[dict[Path, Mark], pl.DataFrame]] = OrderedDict()


def marks_of(files: Iterable[Path]) -> dict[Path, Mark]:
    """The files' marks; a file that is gone has none."""
    marks = {}
    for file in files:
        try:
            stat = file.stat()
        except FileNotFoundError:
            continue
        marks[file] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return marks


def recall(folder: Path, marks: dict[Path, Mark]) -> tuple[set[Path], pl.DataFrame | None]:
    """What is known of a stage: the parts it rests on, and the current state of each item in them.

    Nothing where one of those parts is not among `marks` any more.
    """
    known, frame = _kept.get(folder, ({}, None))
    if frame is None or not known.items() <= marks.items():
        return set(), None
    _kept.move_to_end(folder)
    return set(known), frame


def remember(folder: Path, marks: dict[Path, Mark], frame: pl.DataFrame) -> None:
    """Keep the current states of a stage, which rest on these parts."""
    _kept[folder] = (marks, frame)
    _kept.move_to_end(folder)
    while len(_kept) > 1 and sum(len(kept) for _, kept in _kept.values()) > ROWS:
        _kept.popitem(last=False)
