"""Work on files in processes that can be killed: a decoder that hangs or crashes costs its own row, not the run."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, wait
from concurrent.futures import TimeoutError as WorkTimeout
from contextlib import suppress
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

STARTS = 3


class WorkerTimeout(RuntimeError):
    """A file took longer than the limit; its worker was killed."""


class WorkersCannotStart(RuntimeError):
    """Worker processes end before they do anything."""


class WorkerCrash(RuntimeError):
    """A worker died on a file (a fault in native code, or the system killed it)."""


def worker_count(setting: int) -> int:
    """Number of processes: the setting, or one a core."""
    return setting or os.cpu_count() or 1


def in_processes(
    function: Callable[..., Any], calls: Iterable[tuple[str, tuple[Any, ...]]], *, workers: int, timeout: float
) -> Iterator[tuple[str, Any | Exception]]:
    """Call `function(*arguments)` for every `(item, arguments)` in worker processes; yield in the order given.

    A worker that dies may have been killed from outside (out of memory, a person): its call is made once more, and fails if
    the worker dies again. A worker that dies before it works on anything costs no call anything. A call's exception is
    yielded in place of its result, so that one bad file never ends the others. At most a few calls a worker are in flight,
    which bounds memory.

    Args:
        function: importable by name, with a light import (it is paid once a worker).
        calls: item and arguments, lazily read.
        workers: processes.
        timeout: seconds of wall clock a call may take.

    Raises:
        WorkersCannotStart: no worker lived long enough to begin.
    """
    ahead: deque[tuple[str, tuple[Any, ...], Any]] = deque()
    with _Workers(function, workers, timeout) as pool:

        def next_outcome() -> tuple[str, Any | Exception]:
            item, arguments, future = ahead.popleft()
            outcome = pool.outcome(arguments, future)
            if isinstance(outcome, WorkerCrash):
                outcome = pool.outcome(arguments, pool.schedule(arguments))
            return item, outcome

        try:
            for item, arguments in calls:
                ahead.append((item, arguments, pool.schedule(arguments)))
                if len(ahead) >= 4 * workers:
                    yield next_outcome()
            while ahead:
                yield next_outcome()
        finally:
            for *_, future in ahead:
                future.cancel()


class _Workers:
    """Processes that call one function. Pebble's pool breaks for good where a process dies before its first call, as one does
    that is killed while it starts; then another pool takes over."""

    def __init__(self, function: Callable[..., Any], workers: int, timeout: float):
        self._function, self._workers, self._timeout = function, workers, timeout
        self._pool = self._opened()
        self._broken = 0  # pools that broke since the last outcome

    def _opened(self) -> ProcessPool:
        # spawn, not fork: the parent has threads (PyTorch, Arrow), and a forked child can deadlock on their locks
        return ProcessPool(max_workers=self._workers, context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.stop() if any(error) else self._pool.close()
        self._pool.join()

    def schedule(self, arguments: tuple[Any, ...]) -> ProcessFuture:
        if self._pool.active:
            with suppress(RuntimeError):  # it broke this moment
                return self._pool.schedule(self._function, args=list(arguments), timeout=self._timeout)
        self._broken += 1
        if self._broken > STARTS:
            raise WorkersCannotStart(
                f"worker processes ended before they began to work, {STARTS} times in a row; "
                "is there memory for run.workers processes?"
            )
        self._pool.stop()
        self._pool.join()
        self._pool = self._opened()
        return self.schedule(arguments)

    def outcome(self, arguments: tuple[Any, ...], future: ProcessFuture) -> Any | Exception:
        """What the call gave; one that went down with its pool is made again."""
        while True:
            # a call that a breaking pool had not taken yet is never answered
            while not wait([future], timeout=1.0).done and self._pool.active:
                continue
            found = _outcome(future, self._timeout) if future.done() else None
            if future.done() and not isinstance(found, BrokenExecutor):
                self._broken = 0
                return found
            future = self.schedule(arguments)


def _outcome(future: ProcessFuture, timeout: float) -> Any | Exception:
    try:
        return future.result()
    except WorkTimeout:
        return WorkerTimeout(f"took longer than {timeout:g} s (sampling.timeout_seconds) and was stopped")
    except ProcessExpired as error:
        return WorkerCrash(f"the decoding process died twice on this file (exit code {error.exitcode})")
    except Exception as error:  # a typed failure of this file, kept as its row's reason
        return error
