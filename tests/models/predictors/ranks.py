"""Runs a function in several processes that have joined one group of PyTorch, as torchrun does."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed

TIMEOUT = timedelta(seconds=60)


def on_ranks(folder: Path, count: int, function: Callable[[int], Any]) -> list[Any]:
    """Return the function's result in each process; None for one that was killed or failed.

    The processes are forked, so nothing is imported again, and the function need not be importable.
    """
    context = multiprocessing.get_context("fork")
    folder.mkdir(parents=True, exist_ok=True)
    processes = [context.Process(target=_run, args=(folder, number, count, function)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT.total_seconds())
        if process.is_alive():
            process.kill()
    results = [folder / f"result-{number}" for number in range(count)]
    return [pickle.loads(file.read_bytes()) if file.exists() else None for file in results]


def _run(folder: Path, number: int, count: int, function: Callable[[int], Any]) -> None:
    torch.set_num_threads(1)  # the OpenMP threads of the parent do not exist here
    store = distributed.FileStore(str(folder / "group"), count)
    distributed.init_process_group("gloo", store=store, rank=number, world_size=count, timeout=TIMEOUT)
    (folder / f"result-{number}").write_bytes(pickle.dumps(function(number)))
    distributed.destroy_process_group()


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
