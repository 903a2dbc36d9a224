"""Detection of mp4 and QuickTime tracks whose data are in another file (data references, ISO/IEC 14496-12, 8.7.2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"dinf")  # the boxes that contain a table of references


def lies_elsewhere(path: str | Path) -> bool:
    """Return whether the data of a track are in another file; that file is never opened."""
    with Path(path).open("rb") as file:
        file.seek(0, 2)
        return any(_has_reference(table) for table in _reference_tables(file, 0, file.tell()))


def _reference_tables(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind, header = int.from_bytes(head[:4], "big"), head[4:8], 8
        if size == 1:
            size, header = int.from_bytes(head[8:16], "big"), 16
        after = start + size if size else end
        if after < start + header:
            return
        if kind in _FOLDERS:
            yield from _reference_tables(file, start + header, min(after, end))
        elif kind == b"dref":
            file.seek(start + header)
            yield file.read(min(after, end) - start - header)
        start = after


def _has_reference(table: bytes) -> bool:
    """Return whether an entry of a table names a location and lacks the flag "data are in the same file"."""
    position = 8  # after version, flags and the number of entries
    while position + 12 <= len(table):
        after = position + max(12, int.from_bytes(table[position : position + 4], "big"))
        if not table[position + 11] & 1 and table[position + 12 : after].strip(b"\x00"):
            return True
        position = after
    return False
