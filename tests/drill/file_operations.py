"""The operations on the files of a folder while a block runs, as a list; one of them can be made to fail.

Python's own operations are intercepted where Python calls the operating system. Libraries that write files themselves are
intercepted at the function that writes (`NATIVE`). Whatever else changes a file is noticed at the next operation, because
each operation first looks for files that have changed since the one before.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import duckdb
import faiss
import pyarrow.parquet as pq

# Writers of files that do not use Python's `open`: module, function, position of the path among the arguments.
NATIVE = ((pq, "write_table", 1), (faiss, "write_index", 1))
WRITING = frozenset("wax+")
SETTLED = (
    0.1  # seconds after which the time of a file's last change tells whether it has changed; the kernel's clock ticks
)

How = Literal["before", "torn", "after"]


@dataclass(frozen=True)
class Fault:
    """One operation that fails.

    Attributes:
        number: Which operation, from 0.
        errno: The error.
        how: `before`: nothing was done; `torn`: of what is written, the first half was; `after`: all was done, yet the error
            is reported.
    """

    number: int
    errno: int
    how: How = "before"


@dataclass(frozen=True)
class Operation:
    """One operation on a file.

    Attributes:
        kind: `open` (for writing), `write`, `parquet`, `faiss`, `database`, `fsync`, `rename`, `link`, `unlink`, `mkdir`,
            `rmdir`, `truncate`, `lock`, or `mark` for a note of the block itself.
        path: The file or folder, relative to the root; the note of a mark.
        target: The new name of a renamed or linked file.
        changed: Path -> content of the files that were written since the operation before.
        succeeded: Whether it had an effect.
    """

    kind: str
    path: str
    target: str = ""
    changed: dict[str, bytes] = field(default_factory=dict)
    succeeded: bool = True


class Recorder:
    """What was done to the files below a folder; see `recorded`.

    Attributes:
        operations: All operations and marks so far, in order.
        count: The number of operations so far, without marks.
    """

    def __init__(self, root: Path, fault: Fault | None = None, *, without: frozenset[str] = frozenset()):
        """Watch a folder.

        Args:
            root: The folder.
            fault: The operation to fail.
            without: Names of folders in the root that do not count.
        """
        self.operations: list[Operation] = []
        self.count = 0
        self._root = os.path.realpath(root)
        self._fault = fault
        self._without = without
        self._seen: dict[int, tuple[int, int]] = {}
        self._lock = threading.RLock()
        self._changes()  # what is there at the start

    def mark(self, note: str) -> None:
        """Note that something was finished."""
        self.operations.append(Operation("mark", note, changed=self._changes()))

    def finish(self) -> None:
        """Note what was written after the last operation."""
        self.operations.append(Operation("mark", "", changed=self._changes()))

    def inside(self, path: Any, folder: int | None = None) -> str | None:
        """Return a path relative to the root, or None if it is not below it. `path` may be a file descriptor."""
        if isinstance(path, int):
            folder, path = path, ""
        within = Path.cwd() if folder is None else Path(f"/proc/self/fd/{folder}").readlink()
        path = os.path.normpath(within / os.fsdecode(path))
        if not path.startswith(self._root + "/") and path != self._root:
            return None
        inside = os.path.relpath(path, self._root)
        return None if inside.split("/")[0] in self._without else inside

    def perform(
        self,
        kind: str,
        path: str,
        work: Callable[[], Any],
        *,
        target: str = "",
        named: bool = True,
        half: Callable[[], object] = lambda: None,
        error: Callable[[OSError], BaseException] = lambda error: error,
    ) -> Any:
        """Do one operation, or let it fail.

        Args:
            kind: Its kind.
            path: The path that it is about, relative to the root.
            work: Does it.
            target: The second path.
            named: Whether the error names the path, as it does not for an operation on a file descriptor.
            half: Does half of it.
            error: Turns the error into the one that the library would raise.
        """
        with self._lock:
            changed, number = self._changes(), self.count
            self.count += 1
            fails = self._fault is not None and self._fault.number == number
            if fails and self._fault.how != "after":
                if self._fault.how == "torn":
                    half()
                self.operations.append(Operation(kind, path, target, changed, succeeded=False))
                raise error(self._error(named and path))
            try:
                done = work()
            except BaseException:
                self.operations.append(Operation(kind, path, target, changed, succeeded=False))
                raise
            self.operations.append(Operation(kind, path, target, changed))
            if fails:
                raise error(self._error(named and path))
            return done

    def _error(self, path: str) -> OSError:
        text = os.strerror(self._fault.errno)
        if not path:
            return OSError(self._fault.errno, text)
        return OSError(self._fault.errno, text, f"{self._root}/{path}")

    def _changes(self) -> dict[str, bytes]:
        """Return path -> content of the files that have changed since the last call."""
        changed, now, waiting = {}, time.time_ns(), [self._root]
        while waiting:
            for entry in _entries(waiting.pop()):
                inside = os.path.relpath(entry.path, self._root)
                if inside in self._without:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    stat = entry.stat()
                    mark = (stat.st_size, stat.st_mtime_ns)
                    if self._seen.get(stat.st_ino) != mark or now - stat.st_mtime_ns < SETTLED * 1e9:
                        changed[inside] = _content(entry.path)
                    self._seen[stat.st_ino] = mark
        return changed


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _content(path: str) -> bytes:
    handle = _OPEN(path, os.O_RDONLY)
    try:
        return os.read(handle, os.fstat(handle).st_size)
    finally:
        os.close(handle)


_OPEN = os.open


class _WatchedFile:
    """A file that was opened for writing; each `write` is an operation."""

    def __init__(self, file: Any, recorder: Recorder, path: str):
        self._file, self._recorder, self._path = file, recorder, path

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        return self._recorder.perform("write", self._path, lambda: self._file.write(data), named=False, half=half)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _WatchedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


@contextmanager
def recorded(root: Path, fault: Fault | None = None, *, without: frozenset[str] = frozenset()) -> Iterator[Recorder]:
    """Record the operations on the files below `root` in this block; see `Recorder`."""
    recorder = Recorder(root, fault, without=without)
    with ExitStack() as stack:
        for module, name, watched in _watched(recorder):
            stack.enter_context(patch.object(module, name, watched))
        yield recorder
    recorder.finish()


def _watched(recorder: Recorder) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    """Yield the functions to replace while operations are recorded: module, name, replacement."""
    for name, kind in (
        ("unlink", "unlink"),
        ("remove", "unlink"),
        ("mkdir", "mkdir"),
        ("rmdir", "rmdir"),
        ("truncate", "truncate"),
        ("fsync", "fsync"),
        ("write", "write"),
    ):
        yield os, name, _on_one_path(recorder, getattr(os, name), kind)
    for name, kind in (("rename", "rename"), ("replace", "rename"), ("link", "link")):
        yield os, name, _on_two_paths(recorder, getattr(os, name), kind)
    yield fcntl, "flock", _on_one_path(recorder, fcntl.flock, "lock")
    yield os, "open", _opened(recorder, os.open)
    for module in (io, builtins):
        yield module, "open", _opened_file(recorder, module.open)
    for module, name, place in NATIVE:
        yield module, name, _written(recorder, getattr(module, name), place)
    yield duckdb, "connect", _connected(recorder, duckdb.connect)


def _on_one_path(recorder: Recorder, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def watched(path: Any, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> Any:
        inside = recorder.inside(path, dir_fd)
        if dir_fd is not None:
            kwargs["dir_fd"] = dir_fd
        if inside is None:
            return call(path, *args, **kwargs)
        named = not isinstance(path, int)
        return recorder.perform(kind, inside, lambda: call(path, *args, **kwargs), named=named)

    return watched


def _on_two_paths(recorder: Recorder, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def watched(source: Any, target: Any, **kwargs: Any) -> Any:
        inside = recorder.inside(target, kwargs.get("dst_dir_fd"))
        if inside is None:
            return call(source, target, **kwargs)
        start = recorder.inside(source, kwargs.get("src_dir_fd")) or ""
        return recorder.perform(kind, start, lambda: call(source, target, **kwargs), target=inside)

    return watched


def _opened(recorder: Recorder, call: Callable[..., int]) -> Callable[..., int]:
    def watched(path: Any, flags: int, *args: Any, dir_fd: int | None = None, **kwargs: Any) -> int:
        if dir_fd is not None:
            kwargs["dir_fd"] = dir_fd
        inside = recorder.inside(path, dir_fd) if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR) else None
        if inside is None:
            return call(path, flags, *args, **kwargs)
        return recorder.perform("open", inside, lambda: call(path, flags, *args, **kwargs))

    return watched


def _opened_file(recorder: Recorder, call: Callable[..., Any]) -> Callable[..., Any]:
    def watched(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        inside = recorder.inside(file) if not isinstance(file, int) and WRITING & set(mode) else None
        if inside is None:
            return call(file, mode, *args, **kwargs)
        opened = recorder.perform("open", inside, lambda: call(file, mode, *args, **kwargs))
        return _WatchedFile(opened, recorder, inside)

    return watched


def _written(recorder: Recorder, call: Callable[..., Any], place: int) -> Callable[..., Any]:
    kind = "faiss" if call.__name__ == "write_index" else "parquet"

    def watched(*args: Any, **kwargs: Any) -> Any:
        inside = recorder.inside(args[place])
        if inside is None:
            return call(*args, **kwargs)

        def half() -> None:
            call(*args, **kwargs)
            os.truncate(args[place], Path(args[place]).stat().st_size // 2)

        def error(error: OSError) -> BaseException:
            # FAISS raises no OSError, and has no errno
            return RuntimeError(f"could not write {args[place]}: {error.strerror}") if kind == "faiss" else error

        return recorder.perform(kind, inside, lambda: call(*args, **kwargs), half=half, error=error)

    return watched


def _connected(recorder: Recorder, call: Callable[..., Any]) -> Callable[..., Any]:
    def watched(database: Any = ":memory:", *args: Any, **kwargs: Any) -> Any:
        inside = None if str(database).startswith(":") else recorder.inside(database)
        if inside is None:
            return call(database, *args, **kwargs)

        def half() -> None:
            call(database, *args, **kwargs).close()
            os.truncate(database, Path(database).stat().st_size // 2)

        def error(error: OSError) -> BaseException:
            return duckdb.IOException(f'Could not write file "{database}": {error.strerror}')

        return recorder.perform("database", inside, lambda: call(database, *args, **kwargs), half=half, error=error)

    return watched


ERRORS = (errno.EIO, errno.ENOSPC)
