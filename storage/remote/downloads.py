"""The download of one object, whose bytes are compared with the manifest's record."""

import random
import time
from pathlib import Path

from storage.durable import explain, flush, scratch_name
from storage.remote.manifest import Entry
from storage.remote.objects import ObjectFolder, ObjectMissing

READS = 3  # attempts to read an object whose bytes differ from the record


def download(objects: ObjectFolder, name: str, entry: Entry, target: Path) -> str | None:
    """Download an entry's object to a file, which appears whole or not at all.

    Args:
        objects: The store's objects.
        name: Name of the object.
        entry: The manifest's record of it.
        target: The file.

    Returns:
        What is wrong with the object, or None.

    Raises:
        RemoteError: Object storage does not answer.
        StoreError: The file cannot be written.
    """
    scratch = scratch_name(target.parent)
    try:
        problem = problem_of(objects, name, entry, scratch)
        if problem is None:
            flush(scratch)
            scratch.replace(target)
        return problem
    except OSError as error:
        raise explain(error, target) from error
    finally:
        scratch.unlink(missing_ok=True)


def problem_of(objects: ObjectFolder, name: str, entry: Entry, scratch: Path) -> str | None:
    """Write an entry's object to a temporary file; return what is wrong with the object, or None."""
    for attempt in range(READS):
        try:
            if objects.download(name, scratch, entry.size) == entry.sha256:
                return None
        except ObjectMissing:
            return "the object is missing"
        pause(attempt)
    return "the object's content differs from what was written"


def pause(attempt: int) -> None:
    """Wait before another attempt: longer after each, at most a second, and not as long as another worker."""
    time.sleep(random.uniform(0, min(0.01 * 2**attempt, 1.0)))
