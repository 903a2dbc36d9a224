"""Whether a process is still there: it holds a lock of the system's, which ends with it, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def present(mark: Path) -> Iterator[None]:
    """Hold `mark` while in this block; several processes may at once. OSError where it cannot be written."""
    handle = _shared(mark)
    try:
        yield
    finally:
        _leave(handle, mark)


def is_present(mark: Path) -> bool:
    """Whether any process holds `mark`."""
    try:
        handle = os.open(mark, os.O_RDWR)
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
        # the last one before may have removed the file between the two lines: then this lock is on nothing
        if mark.exists() and os.fstat(handle).st_ino == mark.stat().st_ino:
            return handle
        os.close(handle)


def _leave(handle: int, mark: Path) -> None:
    """Release; the last one removes the file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark.unlink(missing_ok=True)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)
