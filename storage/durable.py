"""Atomic writes: a file is written under a temporary name, flushed to the disk and renamed into place."""

import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SCRATCH_PREFIX = ".writing-"
DAMAGED = "damaged"  # folder of a stage, table, artifact or log to which damaged files are moved
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(RuntimeError):
    """The store cannot perform an operation; the message says what to do about it."""


class BusyError(StoreError):
    """Another process is running an operation that only one process may run at a time."""


def explain(error: OSError, path: Path) -> StoreError:
    """Return a StoreError that explains an error of the file system, and says what to do."""
    if error.errno in DISK_FULL:
        text = (
            f"{path}: no space left on the disk ({os.strerror(error.errno)}). Free some space, or move the store to a "
            "larger disk, and run again: finished rows are kept and are not computed again"
        )
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = os.strerror(error.errno)
        text = (
            f"{path}: cannot be written ({reason}). Give this user write access, or choose another store (store.path)"
        )
    elif error.errno in (errno.EEXIST, errno.ENOTDIR):
        text = f"{path}: a file is in the way of this folder. Remove it, or choose another folder (store.path, store.results)"
    elif error.errno == errno.EIO:
        remove = "" if path.is_dir() else f"; if this file alone stays unreadable, remove it (rm {path})"
        text = f"{path}: the disk failed ({os.strerror(error.errno)}). Check the disk{remove} and run again"
    else:
        text = f"{path}: {error}"
    return StoreError(text)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Convert an error of the file system in this block to a StoreError about `path`; see `explain`."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


@contextmanager
def exclusive(lock: Path, *, doing: str, wait: bool = False) -> Iterator[None]:
    """Let only one process at a time run a block. Readers take no lock.

    The lock is a lock of the operating system, so it also ends with the process.

    Args:
        lock: The lock's file, which is created if it does not exist.
        doing: What the block does, for the error message: "compacting this stage".
        wait: Whether a second process waits for the lock instead of getting a BusyError.

    Raises:
        BusyError: Another process holds the lock, and `wait` is False.
        StoreError: The lock's file cannot be created or locked.
    """
    with explained(lock):
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with explained(lock):
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
        with explained(lock):
            fcntl.flock(handle, fcntl.LOCK_UN)  # children forked in the block share the lock: closing is not enough
    finally:
        os.close(handle)


def flush(path: Path) -> None:
    """Flush a file's content to the disk; of a folder, the names in it, so that renames in it survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, so that they survive a power cut; do nothing if the folder exists."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    flush(folder.parent)


def scratch_name(folder: Path) -> Path:
    """Return an unused path in `folder` that readers ignore (hidden, and without a data suffix)."""
    return folder / f"{SCRATCH_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:12]}"


@contextmanager
def written_beside(path: Path, *, keep_first: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to. When the block ends without an error, that file replaces `path` atomically.

    A reader sees either the old file or the new one, never a part of it.

    Args:
        path: The file to write. Its folder is created if it does not exist.
        keep_first: Whether a file that is there already stays, and the new one is dropped. Of several writers at the same
            time, one writes the file.

    Raises:
        StoreError: The disk is full or read-only.
    """
    scratch = scratch_name(path.parent)
    try:
        make_folder(path.parent)
        yield scratch
        flush(scratch)
        if keep_first:
            with suppress(FileExistsError):
                os.link(scratch, path)
        else:
            scratch.replace(path)
        flush(path.parent)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        with suppress(OSError):  # such as a file in place of the folder, which the error above names
            scratch.unlink()


def check_writable(folder: Path) -> None:
    """Create a folder if it does not exist, and check that it can be written to.

    Raises:
        StoreError: It cannot be created or written to; the message says what to do.
    """
    probe = scratch_name(folder)
    try:
        make_folder(folder)
        probe.write_text("can be written", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        raise explain(error, folder) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8; see `written_beside`."""
    with written_beside(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def remove_folder(folder: Path) -> None:
    """Remove a folder. Readers see it vanish at once, even if this process is killed while it deletes the files."""
    scratch = scratch_name(folder.parent)
    folder.rename(scratch)
    flush(scratch.parent)  # otherwise a power cut could bring the folder back without some of its files
    shutil.rmtree(scratch, ignore_errors=True)


def ordered_name(folder: Path, suffix: str, *, also: Iterable[str] = ()) -> tuple[int, str]:
    """Return the number and the name of a new file in `folder`. Numbers increase, also between processes.

    The number is the time in nanoseconds, or one more than the newest file's number if the clock was set back.

    Args:
        folder: The folder.
        suffix: The files' suffix.
        also: Names of files of this folder that are elsewhere.
    """
    # names of 20 digits sort as numbers, and a folder may hold thousands of files
    newest = max((name[:20] for name in also if name[:20].isdigit()), default="0")
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        named = (entry.name for entry in entries if entry.name.endswith(suffix))
        newest = max([newest, *(name[:20] for name in named if name[:20].isdigit())])
    number = max(time.time_ns(), int(newest) + 1)
    return number, f"{number:020d}-{uuid.uuid4().hex[:12]}{suffix}"


def sweep(folder: Path, *, older_than: float) -> int:
    """Remove the temporary files and folders of killed writers below a folder.

    Args:
        folder: The folder.
        older_than: Seconds; younger files may belong to a running writer.

    Returns:
        How many files and folders were removed.
    """
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
