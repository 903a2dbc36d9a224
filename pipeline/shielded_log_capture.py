"""Log capture whose helper processes Ctrl-C does not reach, so that they print no traceback of their own."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import dagster as dg


def shield_log_capture(instance: dg.DagsterInstance) -> None:
    """Make the processes with which an instance copies output to its logs ignore Ctrl-C.

    A terminal sends Ctrl-C to all processes of a command. Dagster ends these helpers itself when the run has stopped.
    """
    manager = instance.compute_log_manager
    capture_logs = manager.capture_logs

    @contextmanager
    def shielded(log_key: Sequence[str]) -> Iterator[object]:
        with ExitStack() as capture:
            with _blocked(signal.SIGINT):
                context = capture.enter_context(capture_logs(log_key))
            yield context

    manager.capture_logs = shielded


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """Hold a signal back from this thread until the end; processes that it starts never get the signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
