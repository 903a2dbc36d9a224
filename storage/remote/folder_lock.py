"""The lock of one local folder: one process of this machine at a time changes it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.durable import explain


class FolderLock:
    """A lock of the operating system that remembers whether its holder died in the middle of a change.

    A second `held` block within the first one, in the same thread, does nothing.
    """

    def __init__(self, file: Path):
        """Refer to the lock in `file`, which is created when it is first held."""
        self._file = file
        self._handle: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in this block; wait for another process that holds it.

        Raises:
            StoreError: The lock's file cannot be created.
        """
        if self._handle is not None:
            yield
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise explain(error, self._file) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._handle = handle
            yield
            fcntl.flock(handle, fcntl.LOCK_UN)  # children forked in the block share the lock: closing is not enough
        finally:
            self._handle = None
            os.close(handle)

    def begin(self) -> None:
        """Record that a change of the folder begins. The lock must be held."""
        os.pwrite(self._handle, b"a change has begun", 0)

    def finish(self) -> None:
        """Record that the folder is whole again. The lock must be held."""
        os.ftruncate(self._handle, 0)

    def is_unfinished(self) -> bool:
        """Return whether a change is going on, or was interrupted."""
        try:
            return self._file.stat().st_size > 0
        except FileNotFoundError:
            return False
