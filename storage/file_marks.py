"""Marks of files: digests that show whether a file may have changed, without reading all of them."""

import functools
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from storage.hashing import content_hash, file_hash

LARGE = 2 * 2**30


def files_mark(paths: Iterable[str | os.PathLike[str]]) -> str:
    """Return a digest of the files' paths, sizes, inodes and modification times. Their order does not matter.

    A rewritten file changes the digest, unless it kept its size, its inode and its modification time to the nanosecond. A
    missing file is part of the digest too. Memory does not grow with the number of files.
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
    """Return a digest of the files' paths and contents, for files that may be rewritten with the same content.

    Each file is read once per process. For a file of more than `LARGE` bytes, size and modification time are used instead.
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
    """Return `files_mark` of all files below a folder, without hidden files and locks."""
    return files_mark(f"{root}/{name}" for root, _, names in os.walk(folder) for name in names if _counts(name))


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".lock")
