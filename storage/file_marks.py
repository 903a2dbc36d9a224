"""Marks of files: whether any of them may have changed, told without reading one."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path


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


def folder_mark(folder: Path) -> str:
    """Mark of the files in a folder, without its subfolders; hidden files and locks are passed over."""
    if not folder.is_dir():
        return "absent"
    with os.scandir(folder) as entries:
        return files_mark(entry.path for entry in entries if _counts(entry.name) and entry.is_file())


def tree_mark(folder: Path) -> str:
    """Mark of all files below a folder; hidden files and locks are passed over."""
    return files_mark(Path(root) / name for root, _, names in os.walk(folder) for name in names if _counts(name))


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".lock")
