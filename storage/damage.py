"""Damaged files: files of the store whose content is no longer what was written.

A damaged file is moved into the folder `damaged/` of its stage, table, artifact or log, with a warning. Readers then treat
it as missing, so the next run makes its content again where possible.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from storage.durable import DAMAGED, StoreError, explain
from storage.remote.connection import mirror_of

logger = logging.getLogger(__name__)


class DamageError(StoreError):
    """A file of the store is damaged: its content is no longer what was written.

    Attributes:
        path: The damaged file or folder.
        problem: What is wrong with it, in one line.
        done: What was done about it, and what happens next.
    """

    def __init__(self, path: Path, problem: object, done: str = "") -> None:
        """Describe the damage.

        Args:
            path: The damaged file or folder.
            problem: What is wrong with it: a text or an exception.
            done: What was done about it, and what happens next.
        """
        self.path = path
        self.problem = " ".join(str(problem).split())
        self.done = done
        super().__init__(f"{path} is damaged: {self.problem}" + (f"; {done}" if done else ""))

    def __reduce__(self) -> tuple[type["DamageError"], tuple[Path, str, str]]:
        """Pickle the error with its arguments, so that it can be raised in another process."""
        return DamageError, (self.path, self.problem, self.done)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Convert the errors that libraries raise for a damaged file to a `DamageError`.

    Args:
        path: The file that is read in this block.

    Raises:
        DamageError: The file is damaged.
        FileNotFoundError: The file does not exist.
        StoreError: The disk or the operating system failed, not the file.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno:
            raise explain(error, path) from error
        raise DamageError(
            path, error
        ) from error  # Arrow raises OSError without errno, for example for a wrong checksum
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise DamageError(path, error) from error


def set_aside(path: Path, owner: Path, problem: object, done: str) -> Path | None:
    """Move a damaged file or folder to `owner/damaged/`, where readers ignore it, and log a warning.

    Args:
        path: The damaged file or folder.
        owner: The folder of its stage, table, artifact or log.
        problem: What is wrong with it.
        done: What happens next, for the warning.

    Returns:
        The new path; None if another process has already moved it.
    """
    mirror_of(owner).distrust()
    folder = owner / DAMAGED
    folder.mkdir(exist_ok=True)
    target = folder / f"{path.name}-{uuid.uuid4().hex[:8]}"
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    logger.warning("%s is damaged (%s) and was moved to %s: %s", path, " ".join(str(problem).split()), target, done)
    return target
