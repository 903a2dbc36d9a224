"""Files that are there whole or not at all: written beside, flushed to the disk, renamed into place."""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCRATCH_PREFIX = ".writing-"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(RuntimeError):
    """The store cannot do what was asked; the message says what to do about it."""


class BusyError(StoreError):
    """Another process is doing what only one at a time may do."""


def explain(error: OSError, path: Path) -> StoreError:
    """A StoreError for an error of the file system."""
    if error.errno in DISK_FULL:
        text = (
            f"{path}: no space left on the disk ({os.strerror(error.errno)}). Free some space, or move the store to a "
            "larger disk, and run again: what was finished is kept and is not computed again"
        )
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = os.strerror(error.errno)
        text = f"{path}: cannot be written ({reason}). Give this user write access, or name another store"
    elif error.errno == errno.EIO:
        text = (
            f"{path}: the disk failed ({os.strerror(error.errno)}). Check the disk; if this file alone stays unreadable, "
            f"remove it (rm {path}) and run again"
        )
    else:
        text = f"{path}: {error}"
    return StoreError(text)


@contextmanager
def exclusive(lock: Path, *, doing: str, wait: bool = False) -> Iterator[None]:
    """One process at a time is in this block: the next one gets BusyError, or waits for its turn.

    The lock is the system's: it goes with the process, however that ends. Readers take none.
    """
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise explain(error, lock) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace") or "unknown"
            raise BusyError(
                f"{lock.parent}: process {holder} is {doing} right now; wait for it, or stop it, and run again"
            ) from None
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
        fcntl.flock(handle, fcntl.LOCK_UN)  # also for children that this process forked meanwhile
    finally:
        os.close(handle)


def flush_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def flush_file(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def scratch_name(folder: Path) -> Path:
    """A free name in `folder` that no reader looks at (hidden, and without a data suffix)."""
    return folder / f"{SCRATCH_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:12]}"


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yields a scratch path to write a file to; it takes the place of `path` in one step when the block ends well.

    A reader sees the old file or the new one, never a part. Raises StoreError for a full or read-only disk.
    """
    scratch = scratch_name(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        flush_file(scratch)
        scratch.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        scratch.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make a folder where it does not exist, and write a few bytes into it.

    Raises:
        StoreError: it cannot be made or written; the message says what to do.
    """
    probe = scratch_name(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("can be written", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise explain(error, folder) from error


def write_text(path: Path, text: str) -> None:
    with written_beside(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def remove_folder(folder: Path) -> None:
    """Removes a folder and all in it: gone in one step for everybody else, also where this process is killed midway."""
    scratch = scratch_name(folder.parent)
    folder.rename(scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def ordered_name(folder: Path, suffix: str) -> tuple[int, str]:
    """(number, name) of a new file in `folder`: numbers rise from one file to the next, whatever process writes it.

    The number is the clock in nanoseconds, or one more than the newest file's where the clock was set back.
    """
    newest = max((int(file.name[:20]) for file in folder.glob(f"*{suffix}") if file.name[:20].isdigit()), default=0)
    number = max(time.time_ns(), newest + 1)
    return number, f"{number:020d}-{uuid.uuid4().hex[:12]}{suffix}"


def sweep(folder: Path, *, older_than: float) -> int:
    """Removes what killed writers left in a tree of folders, if older than `older_than` seconds. Returns how much."""
    limit = time.time() - older_than
    removed = 0
    for leftover in folder.rglob(f"{SCRATCH_PREFIX}*"):
        try:
            if leftover.stat().st_mtime > limit:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()
            removed += 1
        except FileNotFoundError:
            continue
    return removed
