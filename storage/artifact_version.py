"""One version of an artifact: a folder of files, with their sizes and hashes at the time of writing."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.damage import DamageError, reading, set_aside
from storage.durable import StoreError, explained, write_text
from storage.hashing import content_hash, file_hash
from storage.remote.connection import mirror_of

STATE_FILE = "version.json"
NEXT_RUN = "the next run makes it again"
# Files that this process has verified. A run opens a pack of several gigabytes more than once.
_verified: set[tuple[Path, int, int]] = set()


class Hold:
    """A shared lock that prevents a version's files from being removed, until `release` or garbage collection.

    It is a lock of the operating system, so it also ends with the process.
    """

    def __init__(self, folder: Path):
        """Lock a version.

        Args:
            folder: The version's folder.

        Raises:
            FileNotFoundError: The version was removed before it could be locked.
        """
        self._handle = os.open(folder, os.O_RDONLY)
        with explained(folder):
            fcntl.flock(self._handle, fcntl.LOCK_SH)
        try:
            same = os.path.samestat(os.fstat(self._handle), folder.stat())
        except FileNotFoundError:
            same = False
        if not same:
            self.release()
            raise FileNotFoundError(f"{folder} was removed")

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        """Release the lock."""
        if getattr(self, "_handle", None) is not None:
            self.release()


@dataclass(frozen=True)
class ArtifactVersion:
    """A version of an artifact.

    Attributes:
        version: Its number, from 1.
        path: Its folder.
        inputs_hash: Hash of what it was made from.
        fingerprint: Hash of everything else that determined it.
        metadata: JSON-able facts from whoever made the version.
        created_at: When it was made.
        files: Name -> (bytes, sha256) of every file; None in versions from before these were recorded.
    """

    version: int
    path: Path
    inputs_hash: str
    fingerprint: str
    metadata: dict[str, Any]
    created_at: datetime
    files: dict[str, tuple[int, str]] | None = None

    def hold(self) -> Hold:
        """Return a lock that keeps the version's files from being removed."""
        return Hold(self.path)

    def check(self, *, contents: bool) -> None:
        """Compare the files with the record made when they were written.

        Args:
            contents: Whether to read every byte (about 1 GB/s, once per process) or to compare sizes only.

        Raises:
            DamageError: A file is missing or differs.
        """
        mirror = mirror_of(self.path.parent)
        if contents:
            mirror.fetch(self.path.name)
        for name, (size, digest) in (self.files or {}).items():
            file = self.path / name
            try:
                facts = file.stat()
            except (FileNotFoundError, NotADirectoryError):
                if mirror.has(file, size):
                    continue
                raise DamageError(self.path, f"{name} is missing") from None
            if facts.st_size != size:
                raise DamageError(self.path, f"{name} has {facts.st_size:,} bytes, {size:,} were written")
            mark = (file, facts.st_ino, facts.st_mtime_ns)
            if contents and mark not in _verified:
                with reading(file):
                    found = file_hash(file)
                if found != digest:
                    raise DamageError(self.path, f"the content of {name} differs from what was written")
                _verified.add(mark)

    @contextmanager
    def reading(self) -> Iterator[Path]:
        """Verify the files, and yield the folder to load them from.

        A version without a record of its files cannot be verified. For such a version, an error in the block counts as
        damage.

        Raises:
            DamageError: The version is damaged. It was set aside, and the next run makes it again.
        """
        try:
            self.check(contents=True)
            try:
                yield self.path
            except (StoreError, MemoryError, ImportError):
                raise
            except Exception as error:
                if self.files is not None or not self.path.exists():
                    raise
                raise DamageError(self.path, f"{type(error).__name__}: {error}") from error
        except DamageError as error:
            self.set_aside(error)
            raise DamageError(self.path, error.problem, f"it was set aside, and {NEXT_RUN}: run again") from error

    def set_aside(self, error: DamageError) -> None:
        """Move the damaged folder to `damaged/`; the artifact then treats the version as missing."""
        set_aside(self.path, self.path.parent, error.problem, NEXT_RUN)


def write_version(folder: Path, state: Mapping[str, Any]) -> None:
    """Write `state` to a version's `version.json`, with a digest of its content."""
    text = json.dumps({**state, "digest": _digest(state)}, indent=1)
    write_text(folder / STATE_FILE, text)


def record_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Return name -> (bytes, sha256) of every file below a folder, except `version.json`."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / STATE_FILE)
    return {str(file.relative_to(folder)): (file.stat().st_size, file_hash(file)) for file in files}


def read_version(path: Path) -> ArtifactVersion:
    """Read a version from its folder.

    Raises:
        DamageError: Its `version.json` is missing or damaged.
        FileNotFoundError: There is no such folder.
    """
    file = path / STATE_FILE
    try:
        with reading(file):
            state = json.loads(file.read_text(encoding="utf-8"))
            digest = state.pop("digest", None)
            if digest not in (None, _digest(state)):
                raise DamageError(path, f"{STATE_FILE} was changed")
            state["created_at"] = datetime.fromisoformat(state["created_at"])
            if state.get("files") is not None:
                state["files"] = {name: tuple(facts) for name, facts in state["files"].items()}
            return ArtifactVersion(version=int(path.name), path=path, **state)
    except FileNotFoundError:
        if not path.exists():
            raise
        raise DamageError(path, f"{STATE_FILE} is missing") from None


def _digest(state: Mapping[str, Any]) -> str:
    # a round trip through JSON turns tuples into lists and keys into strings
    return content_hash(json.dumps(json.loads(json.dumps(state)), sort_keys=True))
