"""The launcher of `assets.prediction.training_ranks`: `python -m assets.prediction.launch_ranks FOLDER`.

It uses the interface of `torch.distributed.run` (torchrun): it starts the processes on this machine, tells each its number, and
ends all if one fails.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from assets.prediction.training_ranks import ERROR, REPORT, TASK, fit_rank

CONSEQUENCES = ("gloo", "NCCL", "TCPStore", "Connection")  # in messages of processes that have lost another one


def launch(scratch: Path) -> int:
    """Run the processes, write the first one's report or the first failure, and return the exit status."""
    devices = pickle.loads((scratch / TASK).read_bytes()).devices
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=len(devices),
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port
        max_restarts=0,
        monitor_interval=0.5,
        start_method="spawn",
    )
    try:
        reports = elastic_launch(config, fit_rank)(scratch)
    except ChildFailedError as error:
        (scratch / ERROR).write_text(first_failure(error.failures), encoding="utf-8")
        return 1
    (scratch / REPORT).write_bytes(pickle.dumps(reports[0]))
    return 0


def first_failure(failures: Mapping[int, ProcessFailure]) -> str:
    """Return the number and the error of the process that failed first, in one line.

    A process that was killed comes first, and processes that have only lost another one come last.

    Args:
        failures: Failed processes by number.
    """

    def order(rank: int) -> tuple[bool, bool, int]:
        is_consequence = any(word in _text(failures[rank]) for word in CONSEQUENCES)
        return failures[rank].exitcode >= 0, is_consequence, failures[rank].timestamp

    rank = min(failures, key=order)
    return f"process {rank}: {_text(failures[rank])}"


def _text(failure: ProcessFailure) -> str:
    message = failure.message["message"] if isinstance(failure.message, dict) else failure.message
    return " ".join(message.split())


def _end_with_parent() -> None:
    """End when the pipe from the parent closes."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(launch(Path(sys.argv[1])))
