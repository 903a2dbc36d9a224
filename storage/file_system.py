"""Whether a file system can hold a store: locks that other processes see, hard links, and renames that replace atomically."""

import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from storage.durable import StoreError, scratch_name

MOUNTS = Path("/proc/self/mounts")
LOCAL = frozenset(
    ["apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "overlay", "tmpfs", "ufs", "xfs", "zfs"]
)
# These copy an object to rename it, so a reader can meet half of a change.
BUCKETS = frozenset(["fuse.blobfuse2", "fuse.gcsfuse", "fuse.goofys", "fuse.mountpoint-s3", "fuse.rclone", "fuse.s3fs"])
UNSHARED = frozenset(["nolock", "local_lock=all", "local_lock=flock"])
SECONDS = 20  # for a lock over a network
# Leaves with 0 if it gets the lock, and with 3 if another process has it.
TRY_LOCK = """
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(3)
"""


class Mount(NamedTuple):
    """A mounted file system: where it comes from, where it is, its type and its options."""

    source: str
    place: Path
    kind: str
    options: frozenset[str]


def mount_of(folder: Path) -> Mount | None:
    """Return the file system of an existing folder; None if the operating system does not say."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    folder, found = folder.resolve(), None
    for line in lines:
        source, place, kind, options = (part.encode().decode("unicode_escape") for part in line.split()[:4])
        mount = Mount(source, Path(place), kind, frozenset(options.split(",")))
        if folder.is_relative_to(mount.place) and (found is None or mount.place.is_relative_to(found.place)):
            found = mount
    return found


def check_file_system(folder: Path) -> None:
    """Check that a store may lie in a folder. A disk's own file system is known; any other one is tried, once per process.

    Raises:
        StoreError: The file system cannot give what a store needs; the message names it.
    """
    problem = _problem(folder.stat().st_dev, folder)
    if problem is not None:
        mount = mount_of(folder)
        name = "" if mount is None else f" of type {mount.kind} ({mount.source} at {mount.place})"
        raise StoreError(
            f"{folder} is on a file system{name} that cannot hold a store: {problem}. Choose a folder on a local disk or on a "
            "file system with locks, or a bucket (store.path, docs/object_storage.md)"
        )


@functools.cache
def _problem(_device: int, folder: Path) -> str | None:
    """Return why a file system cannot hold a store, or None."""
    mount = mount_of(folder)
    if mount is not None and mount.kind in LOCAL:
        return None
    if mount is not None and mount.kind in BUCKETS:
        return "a rename in it is a copy, which others see half done"
    if mount is not None and (unshared := sorted(mount.options & UNSHARED)):
        return f"its locks are not seen by other machines (mount option {unshared[0]})"
    probe, other = scratch_name(folder), scratch_name(folder)
    tries: tuple[Callable[[Path, Path], str | None], ...] = (_lock, _link, _rename)
    try:
        probe.write_bytes(b"1")
        return next((problem for attempt in tries if (problem := attempt(probe, other)) is not None), None)
    except OSError as error:
        return f"{os.strerror(error.errno) if error.errno else error}"
    finally:
        for path in (probe, other):
            with suppress(OSError):
                path.unlink()


def _lock(probe: Path, _: Path) -> str | None:
    with probe.open("rb+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"it has no locks ({os.strerror(error.errno)})"
        command = [sys.executable, "-I", "-S", "-c", TRY_LOCK, str(probe)]
        try:
            left = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            return f"its lock server does not answer within {SECONDS} s"
    return None if left == 3 else "two processes can hold the same lock"


def _link(probe: Path, other: Path) -> str | None:
    try:
        os.link(probe, other)
    except OSError as error:
        return f"it has no hard links ({os.strerror(error.errno)})"
    return None if other.stat().st_ino == probe.stat().st_ino else "a hard link in it is a copy"


def _rename(probe: Path, other: Path) -> str | None:
    other.unlink()
    other.write_bytes(b"2")
    try:
        other.replace(probe)
    except OSError as error:
        return f"a rename in it does not replace a file ({os.strerror(error.errno)})"
    return None if probe.read_bytes() == b"2" else "a rename in it does not replace a file"
