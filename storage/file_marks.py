"""Marks of files: whether any of them may have changed, told without reading one."""

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from storage.hashing import content_hash, file_hash

LARGE = 2 * 2**30


def files_mark(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Digest of the files' paths, sizes and times of change, whatever their order; a file that is absent counts as such.

    A file that was rewritten has another mark, unless it kept its size, its inode and its time of change to the nanosecond.
    Memory does not grow with the number of files.
    """
    total = 0
    for path in paths:
        try:
            stat = os.stat(path)  # noqa: PTH116 - a Path keeps its name in memory for good
        except FileNotFoundError:
            facts = b"absent"
        else:
            facts = b"%d:%d:%d" % (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        total += int.from_bytes(hashlib.sha256(os.fsencode(path) + b"\0" + facts).digest())
    return f"{total % 2**256:064x}"


def contents_mark(paths: Iterable[Path]) -> str:
    """Digest of the files' paths and contents, for files that may be written again as they were.

    A file is read once in a process. One of over `LARGE` bytes goes by its size and time of change.
    """
    named = []
    for path in sorted(paths):
        try:
            stat = path.stat()
        except FileNotFoundError:
            named.append([str(path), "absent"])
        else:
            read = path.is_file() and stat.st_size <= LARGE
            facts = _digest(path, stat.st_size, stat.st_mtime_ns, stat.st_ino) if read else files_mark([path])
            named.append([str(path), facts])
    return content_hash(named)


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, *stat: int) -> str:
    return file_hash(path)


def tree_mark(folder: Path) -> str:
    """Mark of all files below a folder; hidden files and locks are passed over."""
    return files_mark(f"{root}/{name}" for root, _, names in os.walk(folder) for name in names if _counts(name))


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".lock")
