"""Whether a process is still alive: it holds a lock of the operating system, which ends with the process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def present(mark: Path) -> Iterator[None]:
    """Hold the lock `mark` in this block. Several processes may hold it at the same time.

    Args:
        mark: The lock's file, which is created if it does not exist.

    Raises:
        OSError: The file cannot be written.
    """
    handle = _shared(mark)
    try:
        yield
    finally:
        _leave(handle, mark)


def is_present(mark: Path) -> bool:
    """Return whether any process holds the lock `mark`, a file or a folder."""
    try:
        handle = os.open(mark, os.O_RDONLY if mark.is_dir() else os.O_RDWR)  # a folder cannot be opened for writing
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _shared(mark: Path) -> int:
    mark.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(mark, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(handle, fcntl.LOCK_SH)
        # Between the two lines, the last holder may have removed the file. The lock is then on a deleted file.
        if mark.exists() and os.fstat(handle).st_ino == mark.stat().st_ino:
            return handle
        os.close(handle)


def _leave(handle: int, mark: Path) -> None:
    """Release the lock; the last holder removes the file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)
