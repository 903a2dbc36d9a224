"""Work on files in processes that can be killed: a decoder that hangs or crashes costs its own row, not the run."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

STARTS = 3
# of a worker, until it is ready to work: imports only, so that a minute is a machine in trouble, not a slow one
START_SECONDS = 120.0
# spawn, not fork: the parent has threads (PyTorch, Arrow), and a forked child can deadlock on their locks
_SPAWN = multiprocessing.get_context("spawn")


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
    the worker dies again. One that dies while it works on nothing (it starts, or waits) costs no call anything. A call's
    exception is yielded in place of its result, so that one bad file never ends the others. At most a few calls a worker are
    in flight, which bounds memory.

    Args:
        function: importable by name, with a light import (it is paid once a worker).
        calls: item and arguments, lazily read.
        workers: processes.
        timeout: seconds of wall clock a call may take.

    Raises:
        WorkersCannotStart: no worker lived long enough to begin.
    """
    ahead: deque[tuple[str, Future]] = deque()
    with _Workers(function, workers, timeout) as pool:
        for item, arguments in calls:
            ahead.append((item, pool.submit(arguments)))
            if len(ahead) >= 4 * workers:
                yield _first(ahead)
        while ahead:
            yield _first(ahead)


def _first(ahead: deque[tuple[str, Future]]) -> tuple[str, Any | Exception]:
    item, future = ahead.popleft()
    return item, future.result()


class _Workers:
    """Processes that call one function, each with a pipe and a thread of its own here.

    Nothing is shared between the processes, neither a queue nor a lock: one that is killed, at whatever moment, can take no
    call with it that was not its own, and leaves no lock held for the others. (Pools that hand calls out through a common
    queue, those of the standard library and Pebble among them, lose a call or wait for ever where a worker is killed between
    taking the call and saying so.)
    """

    def __init__(self, function: Callable[..., Any], workers: int, timeout: float):
        self._function, self._timeout = function, timeout
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._lock = threading.Lock()
        self._alive: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._ended_at_start = 0  # in a row
        self._closed = False

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in alive:  # a thread that waits for one goes on at once
            worker.kill()
        self._threads.shutdown()
        for worker in alive:
            worker.close()

    def submit(self, arguments: tuple[Any, ...]) -> Future:
        """A future of what the call gives: its result, or the exception that stands for it."""
        return self._threads.submit(self._outcome, arguments)

    def _outcome(self, arguments: tuple[Any, ...]) -> Any | Exception:
        outcome = self._answer(arguments)
        # the first death may have been an accident
        return self._answer(arguments) if isinstance(outcome, WorkerCrash) else outcome

    def _answer(self, arguments: tuple[Any, ...]) -> Any | Exception:
        worker = self._ready()
        outcome = worker.call(arguments, self._timeout)
        if isinstance(outcome, WorkerCrash | WorkerTimeout):
            self._forget(worker)
        else:
            with self._lock:
                self._idle.append(worker)
                self._ended_at_start = 0
        return outcome

    def _ready(self) -> _Worker:
        while True:
            with self._lock:
                if self._closed or self._ended_at_start >= STARTS:
                    break
                idle = self._idle.pop() if self._idle else None
                worker = idle or _Worker(self._function)
                self._alive.add(worker)
            if idle:
                if idle.waits():
                    return idle
                self._forget(idle)  # killed while it had nothing to do: no call dies of it
                continue
            began = worker.begins()
            with self._lock:
                self._ended_at_start = 0 if began else self._ended_at_start + 1
            if began:
                return worker
            self._forget(worker)
        raise WorkersCannotStart(
            f"worker processes ended before they began to work, {STARTS} times in a row; "
            "is there memory for run.workers processes?"
        )

    def _forget(self, worker: _Worker) -> None:
        worker.kill()
        worker.close()
        with self._lock:
            self._alive.discard(worker)


class _Worker:
    """One process, which answers one call at a time."""

    def __init__(self, function: Callable[..., Any]):
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(function, theirs), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is seen here as the end of the pipe

    def begins(self) -> bool:
        """Wait for it to be ready; False where it ended before."""
        try:
            return self._pipe.poll(START_SECONDS) and self._pipe.recv() is None
        except (EOFError, OSError):
            return False

    def waits(self) -> bool:
        """Whether it is still there to be called: who has nothing to do says nothing, but for the end of its pipe."""
        return not self._pipe.poll()

    def call(self, arguments: tuple[Any, ...], timeout: float) -> Any | Exception:
        try:
            self._pipe.send(arguments)
            if not self._pipe.poll(timeout):
                return WorkerTimeout(f"took longer than {timeout:g} s (sampling.timeout_seconds) and was stopped")
            return self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(1.0)
            return WorkerCrash(f"the decoding process died twice on this file (exit code {self._process.exitcode})")

    def kill(self) -> None:
        self._process.kill()
        self._process.join(5.0)  # longer only where the system itself does not let go of it

    def close(self) -> None:
        """By who reads it, or when nobody does: another file may get the pipe's number at once."""
        self._pipe.close()


def _serve(function: Callable[..., Any], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the run ends its workers itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(None)
    with suppress(EOFError, OSError):  # the run has ended
        while True:
            arguments = pipe.recv()
            try:
                outcome = function(*arguments)
            except Exception as error:  # of this file: it becomes its row's reason
                outcome = sendable(error)
            pipe.send(outcome)


def _end_with_parent() -> None:
    """A decoder that hangs reads no pipe: without this it would outlive a run that was killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def sendable(error: Exception) -> Exception:
    """The error itself where it survives being pickled (a library's own need not), else one with its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
