"""Damage: a file of the store that is no longer as it was written.

A damaged file is moved into the folder `damaged/` of its stage, table, artifact or log, and a warning says so. To every
reader it is then as if it had never been there, so the next run makes again what can be derived.
"""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from storage.durable import StoreError, explain

DAMAGED = "damaged"
logger = logging.getLogger(__name__)


class DamageError(StoreError):
    """A file is no longer as it was written.

    Args:
        path: The damaged file or folder.
        problem: What is wrong with it.
        done: What was done about it, and what happens next.
    """

    def __init__(self, path: Path, problem: object, done: str = "") -> None:
        self.path = path
        self.problem = " ".join(str(problem).split())
        self.done = done
        super().__init__(f"{path} is damaged: {self.problem}" + (f"; {done}" if done else ""))

    def __reduce__(self) -> tuple[type["DamageError"], tuple[Path, str, str]]:
        return DamageError, (self.path, self.problem, self.done)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what libraries raise for a damaged file into a `DamageError`.

    Args:
        path: The file that is read in this block.

    Raises:
        DamageError: The file is not as it was written.
        FileNotFoundError: It is not there.
        StoreError: The disk or the system failed, not the file.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno:
            raise explain(error, path) from error
        raise DamageError(path, error) from error  # Arrow's, for instance for a wrong checksum
    except (pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise DamageError(path, error) from error


def set_aside(path: Path, owner: Path, problem: object, done: str) -> Path | None:
    """Move a damaged file or folder to `owner/damaged/`, out of every reader's sight, and log a warning.

    Args:
        path: The damaged file or folder.
        owner: The folder of its stage, table, artifact or log.
        problem: What is wrong with it.
        done: What happens next, for the warning.

    Returns:
        The new place; None if another process has moved it already.
    """
    folder = owner / DAMAGED
    folder.mkdir(exist_ok=True)
    target = folder / f"{path.name}-{uuid.uuid4().hex[:8]}"
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    logger.warning("%s is damaged (%s) and was moved to %s: %s", path, " ".join(str(problem).split()), target, done)
    return target
