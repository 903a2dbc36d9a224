"""Worker processes that can be killed: if a decoder hangs or crashes on a file, only that file's row fails."""

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
# A worker only imports modules before it is ready, so a longer start means that the machine is overloaded.
START_SECONDS = 120.0
# spawn, not fork: the parent has threads (PyTorch, Arrow), and a forked child could deadlock on their locks
_SPAWN = multiprocessing.get_context("spawn")


class WorkerTimeout(RuntimeError):
    """A file took longer than the limit; its worker was killed."""


class WorkersCannotStart(RuntimeError):
    """Worker processes end before they are ready to work."""


class WorkerCrash(RuntimeError):
    """A worker died while it worked on a file: native code crashed, or the system killed the process."""


def worker_count(setting: int) -> int:
    """Return the number of processes: the setting, or one per core if it is 0."""
    return setting or os.cpu_count() or 1


def in_processes(
    function: Callable[..., Any], calls: Iterable[tuple[str, tuple[Any, ...]]], *, workers: int, timeout: float
) -> Iterator[tuple[str, Any | Exception]]:
    """Call `function(*arguments)` in worker processes for every `(item, arguments)`.

    If a worker dies during a call, the call is repeated once, because the worker may have been killed from outside (out of
    memory, by a person). It fails if the second worker dies too. A worker that dies while it starts or is idle affects no
    call. At most four calls per worker are in flight, which limits memory.

    Args:
        function: Importable by name. Each worker imports its module once, so the import should be light.
        calls: (item, arguments) pairs, read lazily.
        workers: Number of processes.
        timeout: Seconds of wall-clock time that a call may take.

    Yields:
        (item, result) pairs in the order of `calls`. If the call raised, timed out or crashed, `result` is the exception.

    Raises:
        WorkersCannotStart: `STARTS` workers in a row ended before they were ready.
    """
    ahead: deque[tuple[str, Future]] = deque()
    with WorkerPool(function, workers, timeout) as pool:
        for item, arguments in calls:
            ahead.append((item, pool.submit(arguments)))
            if len(ahead) >= 4 * workers:
                yield _first(ahead)
        while ahead:
            yield _first(ahead)


def _first(ahead: deque[tuple[str, Future]]) -> tuple[str, Any | Exception]:
    item, future = ahead.popleft()
    return item, future.result()


class WorkerPool:
    """A pool of processes that call one function; each has its own pipe and its own thread in the parent.

    The processes share neither a queue nor a lock. A worker that is killed loses at most its own call and leaves no lock
    held. Pools with a common queue, such as the standard library's and Pebble's, lose a call or wait for ever if a worker is
    killed between taking a call and reporting it.
    """

    def __init__(self, function: Callable[..., Any], workers: int, timeout: float):
        """Make a pool; a process starts when it is first needed. The arguments are those of `in_processes`."""
        self._function, self._timeout = function, timeout
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._lock = threading.Lock()
        self._alive: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._ended_at_start = 0  # in a row
        self._closed = False

    def __enter__(self) -> WorkerPool:
        """Return the pool."""
        return self

    def __exit__(self, *error: object) -> None:
        """End all processes, also those at work."""
        with self._lock:
            self._closed = True
            alive = list(self._alive)
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in alive:  # killing a worker wakes the thread that waits for it
            worker.kill()
        self._threads.shutdown()
        for worker in alive:
            worker.close()

    def submit(self, arguments: tuple[Any, ...]) -> Future:
        """Return a future of the call's result, or of the exception in its place; the future itself never raises it."""
        return self._threads.submit(self._outcome, arguments)

    def _outcome(self, arguments: tuple[Any, ...]) -> Any | Exception:
        outcome = self._answer(arguments)
        # the first worker may have been killed from outside
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
                if idle.is_idle():
                    return idle
                self._forget(idle)  # it died while idle: no call is affected
                continue
            started = worker.wait_until_ready()
            with self._lock:
                self._ended_at_start = 0 if started else self._ended_at_start + 1
            if started:
                return worker
            self._forget(worker)
        raise WorkersCannotStart(
            f"worker processes ended before they were ready, {STARTS} times in a row; "
            "is there enough memory for run.workers processes?"
        )

    def _forget(self, worker: _Worker) -> None:
        worker.kill()
        worker.close()
        with self._lock:
            self._alive.discard(worker)


class _Worker:
    """One worker process, which handles one call at a time."""

    def __init__(self, function: Callable[..., Any]):
        self._pipe, child_end = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(function, child_end), daemon=True)
        self._process.start()
        child_end.close()  # so that reading here reaches the end of the pipe when the process ends

    def wait_until_ready(self) -> bool:
        """Wait until the process is ready; return False if it ended or took too long."""
        try:
            return self._pipe.poll(START_SECONDS) and self._pipe.recv() is None
        except (EOFError, OSError):
            return False

    def is_idle(self) -> bool:
        """Whether the process is alive. An idle worker sends nothing, so a readable pipe means that it died."""
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
        self._process.join(5.0)  # it takes longer only if the kernel cannot end the process

    def close(self) -> None:
        """Close the pipe; only the reader may: the OS can reuse the descriptor immediately."""
        self._pipe.close()


def _serve(function: Callable[..., Any], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(None)
    with suppress(EOFError, OSError):  # the run has ended
        while True:
            arguments = pipe.recv()
            try:
                outcome = function(*arguments)
            except Exception as error:  # becomes the reason of the file's failed row
                outcome = sendable(error)
            pipe.send(outcome)


def _end_with_parent() -> None:
    """End this process with its parent. A decoder that hangs does not notice that its pipe was closed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def sendable(error: Exception) -> Exception:
    """Return the error if it can be pickled, else a `RuntimeError` with its type and message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
