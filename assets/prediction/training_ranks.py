"""Training of one network by several processes at once: one per GPU, started as `torchrun` starts them.

Every process reads the store and computes its part of each minibatch (`models.predictors.ranks`). The first one writes the
checkpoints and the fitted model. If one fails, all end, and the next run continues from the last checkpoint.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from assets.encoding.encoder_choice import device_of
from assets.engine.store_access import open_store
from assets.prediction.trained_models import TrainedModel
from assets.prediction.training_processes import POLL, count_passes, fit_model, inputs_of
from assets.settings import Settings
from models.predictors.ranks import Ranks
from models.predictors.training_report import TrainingReport

TASK, REPORT, ERROR, LOG, PASSES = "task.pickle", "report.pickle", "error.txt", "log.txt", "passes"


@dataclass(frozen=True)
class RankTask:
    """What the processes need to know.

    Attributes:
        settings: The settings as a dictionary.
        model: The model to train.
        devices: One device per process.
        folder: Where the first process saves the fitted model.
    """

    settings: dict[str, Any]
    model: TrainedModel
    devices: list[str]
    folder: Path


def training_devices(settings: Settings) -> list[str]:
    """Return the devices that train one network together, by `run.training_devices`.

    Raises:
        ValueError: The machine has fewer GPUs, or `encoders.device` names one of them.
    """
    device, count = device_of(settings), settings.run.training_devices
    if device == "cpu":
        return ["cpu"] * max(count, 1)
    if device != "cuda":
        if count > 1:
            raise ValueError(f"run.training_devices is {count}, but encoders.device names one device, {device!r}")
        return [device]
    if count == 1:
        return [device]
    present = torch.cuda.device_count()
    if count > present:
        raise ValueError(f"run.training_devices is {count}, but this machine has {present} GPUs; 0 takes all of them")
    return [f"cuda:{number}" for number in range(count or present)]


def fit_on_ranks(
    settings: Settings, model: TrainedModel, scratch: Path, *, progress: Callable[[int], None]
) -> TrainingReport:
    """Fit one model in one process per training device, and save it to `scratch / model.artifact`.

    Args:
        settings: The settings.
        model: The model, a network.
        scratch: An empty folder.
        progress: Called with the number of passes that were made since the last call.

    Raises:
        RuntimeError: A process failed. All have ended, and the message names the first failure.
    """
    devices = training_devices(settings)
    task = RankTask(settings.model_dump(), model, devices, scratch / model.artifact)
    (scratch / TASK).write_bytes(pickle.dumps(task))
    command = [sys.executable, "-m", "assets.prediction.launch_ranks", str(scratch)]
    passes, seen = scratch / PASSES, 0
    with (
        (scratch / LOG).open("wb") as log,
        # The pipe closes when this process ends, however it ends; the launcher then ends too.
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log) as launcher,
    ):
        try:
            while launcher.poll() is None:
                time.sleep(POLL)
                made = passes.stat().st_size if passes.exists() else 0
                progress(made - seen)
                seen = made
        finally:
            launcher.terminate()
    if launcher.returncode or not (scratch / REPORT).exists():
        raise RuntimeError(f"{model}: the training by {len(devices)} processes ended: {_reason(scratch)}")
    return pickle.loads((scratch / REPORT).read_bytes())


def _reason(scratch: Path) -> str:
    """Return the first failure in one line."""
    if (scratch / ERROR).exists():
        return (scratch / ERROR).read_text(encoding="utf-8")
    lines = (scratch / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "the launcher was killed"


def fit_rank(scratch: Path) -> TrainingReport:
    """Take part in the training that `scratch` describes, in a process that `torchrun` started."""
    _end_with_parent()
    task: RankTask = pickle.loads((scratch / TASK).read_bytes())
    number = int(os.environ["LOCAL_RANK"])
    device = task.devices[number]
    if device == "cpu":
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // len(task.devices)))
    else:
        torch.cuda.set_device(device)
    distributed.init_process_group("gloo" if device == "cpu" else "nccl")
    try:
        ranks, settings = Ranks(device), Settings(**task.settings)
        store = open_store(settings)
        count = count_passes(scratch / PASSES) if ranks.is_first else lambda: None
        predictor, report = fit_model(
            store, settings, task.model, inputs_of(store, settings), progress=count, ranks=ranks
        )
        if ranks.is_first:
            predictor.save(task.folder)
    finally:
        distributed.destroy_process_group()
    return report


def _end_with_parent() -> None:
    """End this process when its parent ends, even if that was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
