"""Passes over the training data with early stopping, which every recommender's network is trained by."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from models.recommenders.recommender import RecommenderEpoch, RecommenderReport


def run_passes(
    network: nn.Module,
    report: RecommenderReport,
    one_pass: Callable[[], Sequence[Tensor]],
    validate: Callable[[], float | None],
    *,
    epochs: int,
    patience: int,
    progress: Callable[[RecommenderEpoch], None] | None,
) -> None:
    """Train a network; it ends in evaluation mode, with the weights of the best pass.

    Args:
        network: The network.
        report: The record, to which the passes are added. Without a validation metric the last pass is the best one.
        one_pass: Takes the steps of a pass, and returns their losses.
        validate: Returns the validation metric, larger is better; None if nothing can be validated.
        epochs: Largest number of passes.
        patience: Passes without a better metric before training stops.
        progress: Function to call after each pass.

    Raises:
        FloatingPointError: The loss is NaN or infinite.
    """
    best = None
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        network.train()
        loss = float(torch.stack(list(one_pass())).mean())
        if not np.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss} in pass {number}; try a smaller learning_rate")
        network.eval()
        value = validate()
        report.epochs.append(RecommenderEpoch(number, loss, value, time.perf_counter() - started))
        if progress is not None:
            progress(report.epochs[-1])
        if value is None or report.best_dev is None or value > report.best_dev:
            report.best_epoch, report.best_dev = number, value
            best = None if value is None else copy.deepcopy(network.state_dict())
        elif number - report.best_epoch >= patience:
            break
    if best is not None:
        network.load_state_dict(best)
    network.eval()
