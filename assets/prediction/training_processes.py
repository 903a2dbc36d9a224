"""Training of several models at once on a CPU: one process per model, each with one thread.

The steps of a network as small as M3TR's gain nothing from a second thread, but its seeds do not depend on each other.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch

from assets.encoding.encoder_choice import device_of
from assets.engine.peak_memory import PeakMemory
from assets.engine.store_access import open_store
from assets.prediction.predictor_inputs import bank_of, samples_of
from assets.prediction.scales_of_all_items import scale_by_all_items
from assets.prediction.trained_models import TrainedModel, unfitted
from assets.prediction.training_checkpoints import checkpoint_of
from assets.settings import Settings
from models.determinism import deterministic
from models.freed_memory import keep_freed_memory
from models.predictor_table import predictor_class
from models.predictors import Bank, Samples
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.predictor import Predictor
from models.predictors.ranks import Ranks
from models.predictors.training_report import Epoch, TrainingReport
from storage.store import Store

Inputs = tuple[Samples, Samples, Bank]

WORTH = 2_000  # training windows from which a network takes longer to train than a process to start
POLL = 1.0  # seconds between two looks at the progress


def inputs_of(store: Store, settings: Settings) -> Inputs:
    """Return the windows of the training and validation items, and the bank."""
    age = "own" if settings.model.whole_share == 1 else "all"
    train, dev = (samples_of(store, settings, split, age=age) for split in ("train", "val"))
    return train, dev, bank_of(store, settings)


def fit_model(
    store: Store,
    settings: Settings,
    model: TrainedModel,
    inputs: Inputs,
    *,
    progress: Callable[[], None],
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    resumable: bool = True,
    ranks: Ranks | None = None,
) -> tuple[Predictor, TrainingReport]:
    """Fit one model in this process, or this process's part of it.

    Args:
        store: The store.
        settings: The settings.
        model: The model.
        inputs: See `inputs_of`.
        progress: Called after each pass.
        on_epoch: Called with the results of each pass. An exception that it raises ends the fit.
        resumable: Whether the training of a network that was killed continues from its checkpoint.
        ranks: The processes that train a network together; None for this one alone.
    """

    def passed(epoch: Epoch) -> None:
        progress()
        on_epoch(epoch)

    predictor, further = unfitted(store, settings, model), {}
    device = device_of(settings) if ranks is None else ranks.device
    if isinstance(predictor, NeuralPredictor):
        further["ranks"] = ranks
        if resumable:
            further["checkpoint"] = checkpoint_of(store, settings, model, ranks=1 if ranks is None else ranks.count)
        if settings.audit.fault == "scales_of_all_items":
            scale_by_all_items(predictor, store)
    with deterministic(), PeakMemory(device) as memory:
        report = predictor.fit(*inputs, seed=model.seed, device=device, progress=passed, **further)
    report.peak_memory_mb = memory.mb
    return predictor, report


def is_network(model: TrainedModel) -> bool:
    """Return whether the training loop of networks fits the model."""
    return issubclass(predictor_class(model.predictor), NeuralPredictor)


def side_by_side(settings: Settings, models: Sequence[TrainedModel], *, windows: int) -> list[TrainedModel]:
    """Return the models that are worth a process of their own; none unless two can run at once.

    Args:
        settings: `run.training_processes` bounds their number; on a GPU all models are trained one after the other.
        models: The models to train.
        windows: Number of training windows.
    """
    networks = [model for model in models if is_network(model)]
    if _processes(settings, len(networks)) < 2 or windows < WORTH or str(device_of(settings)) != "cpu":
        return []
    return networks


def _processes(settings: Settings, models: int) -> int:
    return min(models, settings.run.training_processes or pool_size(models, len(os.sched_getaffinity(0))))


def pool_size(models: int, cores: int) -> int:
    """Return how many of several models to train at once so that no core is idle in the last round.

    Three models on two cores, one after the other two, would leave a core idle for half of the time. All three at once take
    three quarters of it.

    Args:
        models: Number of models, which take about the same time.
        cores: Number of cores.

    Example:
        >>> pool_size(3, 2), pool_size(4, 2), pool_size(5, 2)
        (3, 2, 3)
    """
    sizes = (size for size in range(cores, 2 * cores) if models % size == 0 or models % size >= cores)
    return next(sizes, cores)


def fit_side_by_side(
    settings: Settings, models: Sequence[TrainedModel], scratch: Path, *, progress: Callable[[int], None]
) -> Iterator[tuple[TrainedModel, TrainingReport]]:
    """Fit models in processes of their own, and yield each when it is done.

    Args:
        settings: The settings.
        models: The models.
        scratch: An empty folder. `scratch / model.artifact` is the folder of a fitted model.
        progress: Called with the number of passes that were made since the last call.

    Raises:
        Exception: What a fit raised; the others are still finished, but not yielded.
    """
    context = multiprocessing.get_context("spawn")  # a forked child could deadlock on a lock of PyTorch's threads
    seen = 0
    with ProcessPoolExecutor(_processes(settings, len(models)), context, initializer=_prepare) as pool:
        waiting = {pool.submit(_fit, settings.model_dump(), model, scratch / model.artifact): model for model in models}
        while waiting:
            done, _ = wait(waiting, timeout=POLL, return_when=FIRST_COMPLETED)
            passes = sum(file.stat().st_size for file in scratch.glob("*.passes"))
            progress(passes - seen)
            seen = passes
            for future in done:
                yield waiting.pop(future), future.result()


def count_passes(file: Path) -> Callable[[], None]:
    """Return a function that lets a file grow by one byte, to be called after each pass."""

    def count() -> None:
        with file.open("ab") as stream:
            stream.write(b".")

    return count


def _prepare() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()  # the process ends with its fit


def _fit(settings: dict[str, Any], model: TrainedModel, folder: Path) -> TrainingReport:
    """Fit a model and save it to a folder; a file beside it grows by one byte per pass."""
    own = Settings(**settings)
    store = open_store(own)
    count = count_passes(folder.with_suffix(".passes"))
    predictor, report = fit_model(store, own, model, inputs_of(store, own), progress=count)
    predictor.save(folder)
    return report
