"""What a local folder holds of the files that a manifest names."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from storage.durable import DAMAGED, scratch_name, written_beside
from storage.process_lock import is_present
from storage.remote.manifest import Manifest

Mark = tuple[int, int, int]  # size, modification time, inode


class LocalCopy(NamedTuple):
    """The record of a local folder.

    Attributes:
        manifest: The manifest that the folder was made to match.
        tag: The manifest's tag; None if there is none yet.
        files: Path -> mark and sha256 of each file of the manifest that is here.
    """

    manifest: Manifest
    tag: str | None
    files: dict[str, tuple[Mark, str]]

    def write(self, file: Path) -> None:
        """Write the record to a file, atomically."""
        text = json.dumps({"tag": self.tag, "manifest": self.manifest.to_bytes().decode(), "files": self.files})
        with written_beside(file) as scratch:
            scratch.write_text(text, encoding="utf-8")

    @staticmethod
    def read(file: Path) -> LocalCopy:
        """Read a record; one that is missing or damaged counts as empty, and files are then told by their contents."""
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            manifest = Manifest.from_bytes(facts["manifest"].encode()) if facts["tag"] else Manifest()
            files = {path: (tuple(mark), sha256) for path, (mark, sha256) in facts["files"].items()}
            return LocalCopy(manifest, facts["tag"], files)
        except (OSError, ValueError, KeyError, TypeError):
            return LocalCopy(Manifest(), None, {})


def mark_of(path: Path) -> Mark:
    """Return the mark of a file.

    Raises:
        FileNotFoundError: The file does not exist.
    """
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns, facts.st_ino


def marks_below(folder: Path, only: Collection[str] | None) -> dict[str, Mark]:
    """Return path -> mark of every file of the store below a folder, without locks, unfinished and damaged files.

    Args:
        folder: The folder.
        only: The only names that count; None for all files below the folder.
    """
    marks = {}
    for path in _files(folder) if only is None else [folder / name for name in only]:
        try:
            marks[str(path.relative_to(folder))] = mark_of(path)
        except FileNotFoundError:
            continue
    return marks


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != DAMAGED and not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.endswith(".lock"):
                yield Path(root, name)


def link(source: Path, target: Path) -> None:
    """Let a second name refer to a file, atomically."""
    scratch = scratch_name(target.parent)
    os.link(source, scratch)
    scratch.replace(target)


def remove(folder: Path, path: str) -> bool:
    """Remove a file, and the folders that are then empty; return False if a reader holds its version."""
    version, _, rest = path.partition("/")
    if rest and version.isdigit() and is_present(folder / version):
        return False
    (folder / path).unlink(missing_ok=True)
    for parent in (folder / path).parents:
        if parent == folder or any(parent.iterdir()):
            break
        parent.rmdir()
    return True
