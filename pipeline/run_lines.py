"""What a run shows in a shell: one line per stage, its progress while it works, and its warnings."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Collection
from typing import Any, TextIO

import dagster as dg
from dagster import DagsterEventType
from rich.console import Console
from rich.status import Status
from rich.text import Text

from assets.engine.progress import duration

NAME = "stage_lines"
INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
CONFIG = {
    "stages": dg.Field([str], description="Names of the stages that the run computes, in order."),
    "on_error_stream": dg.Field(
        bool, default_value=False, description="Print to standard error, because a result follows on standard output."
    ),
}


class StageLines(logging.Handler):
    """Prints the log of a run. In a terminal the newest message of the running stage is replaced by the next one.

    Elsewhere, in a file or a pipe, each message is a line.
    """

    def __init__(self, stages: Collection[str], console: Console) -> None:
        """Print to a console.

        Args:
            stages: Names of the stages; other steps, such as checks, have no line of their own.
            console: Where to print.
        """
        super().__init__(logging.DEBUG)
        self._stages = list(stages)
        self._console = console
        self._status: Status | None = None
        self._started: dict[str, float] = {}
        self._done = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record of Dagster's log."""
        try:
            meta: dict[str, Any] = getattr(record, "dagster_meta", {})
            step, event = meta.get("step_key") or "", meta.get("dagster_event")
            if event is not None:
                self._event(step, event)
            elif record.levelno >= logging.INFO:
                self._message(step, record.levelno, str(meta.get("orig_message", record.getMessage())))
        except Exception:
            self.handleError(record)

    def _event(self, step: str, event: dg.DagsterEvent) -> None:
        if event.event_type == DagsterEventType.STEP_START:
            self._started[step] = time.monotonic()
        if step not in self._stages:
            return
        if event.event_type == DagsterEventType.STEP_START:
            self._show(f"{step} ...")
        elif event.event_type == DagsterEventType.STEP_SUCCESS:
            self._end(step, "")
        elif event.event_type == DagsterEventType.STEP_FAILURE:
            self._end(step, ", stopped" if was_interrupted(event) else ", FAILED")

    def _message(self, step: str, level: int, message: str) -> None:
        if step and step not in self._started:
            return  # Dagster names every step that a failure leaves out
        first = message.removeprefix(f"{step}: ").split("\n", 1)[0]  # all of it is in Dagster's log
        line = f"{step}: {first}" if step else first
        if level >= logging.WARNING:
            self._print(f"  warning: {line}")
        elif self._console.is_terminal:
            self._show(line)
        elif step in self._stages:
            self._print(f"  {line}")

    def _show(self, text: str) -> None:
        """Replace the progress line, where there is one."""
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(Text(text[: max(self._console.width - 4, 20)]))

    def _end(self, step: str, outcome: str) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._done += 1
        seconds = duration(time.monotonic() - self._started.get(step, time.monotonic()))
        number = f"[{self._done}/{len(self._stages)}]"
        self._print(f"{number:>8s} {step:24s}{seconds:>12s}{outcome}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def was_interrupted(failure: dg.DagsterEvent) -> bool:
    """Whether a step failed because of Ctrl-C."""
    error = failure.step_failure_data.error
    return error is not None and (error.cause or error).cls_name in INTERRUPTS


@dg.logger(config_schema=CONFIG, description="One line per stage, for a run in a shell.")
def stage_lines(context: dg.InitLoggerContext) -> logging.Logger:
    """Return a logger that prints one line per stage."""
    logger = logging.Logger(NAME, logging.DEBUG)
    stream = sys.stderr if context.logger_config["on_error_stream"] else sys.stdout
    logger.addHandler(StageLines(context.logger_config["stages"], Console(file=_duplicate(stream))))
    return logger


def _duplicate(stream: TextIO) -> TextIO:
    """Return a stream as it is now: Dagster redirects the descriptor to a file while a step runs."""
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8", errors="replace")
    except (OSError, ValueError):  # a stream without a descriptor
        return stream
