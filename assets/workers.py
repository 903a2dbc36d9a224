"""Work on files in processes that can be killed: a decoder that hangs or crashes costs its own row, not the run."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as WorkTimeout
from typing import Any

from pebble import ProcessExpired, ProcessPool


class WorkerTimeout(RuntimeError):
    """A file took longer than the limit; its worker was killed."""


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
    the worker dies again. A call's exception is yielded in place of its result, so that one bad file never ends the others.
    At most a few calls a worker are in flight, which bounds memory.

    Args:
        function: importable by name, with a light import (it is paid once a worker).
        calls: item and arguments, lazily read.
        workers: processes.
        timeout: seconds of wall clock a call may take.
    """
    ahead: deque[tuple[str, tuple[Any, ...], Any]] = deque()
    # spawn, not fork: the parent has threads (PyTorch, Arrow), and a forked child can deadlock on their locks
    with ProcessPool(max_workers=workers, context=multiprocessing.get_context("spawn")) as pool:

        def schedule(arguments: tuple[Any, ...]) -> Any:
            return pool.schedule(function, args=list(arguments), timeout=timeout)

        def next_outcome() -> tuple[str, Any | Exception]:
            item, arguments, future = ahead.popleft()
            outcome = _outcome(future, timeout)
            if isinstance(outcome, WorkerCrash):
                outcome = _outcome(schedule(arguments), timeout)
            return item, outcome

        try:
            for item, arguments in calls:
                ahead.append((item, arguments, schedule(arguments)))
                if len(ahead) >= 4 * workers:
                    yield next_outcome()
            while ahead:
                yield next_outcome()
        finally:
            for *_, future in ahead:
                future.cancel()


def _outcome(future: Any, timeout: float) -> Any | Exception:
    try:
        return future.result()
    except WorkTimeout:
        return WorkerTimeout(f"took longer than {timeout:g} s (sampling.timeout_seconds) and was stopped")
    except ProcessExpired as error:
        return WorkerCrash(f"the decoding process died twice on this file (exit code {error.exitcode})")
    except Exception as error:  # a typed failure of this file, kept as its row's reason
        return error
