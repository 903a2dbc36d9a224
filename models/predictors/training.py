"""Training of any network: the joint loss, early stopping on the validation items, and the best epoch's weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.network import PredictorNetwork
from models.predictors.prediction import predict
from models.predictors.samples import Bank, Minibatch, Samples, batches, minibatch
from models.predictors.training_options import TrainingOptions
from models.predictors.training_report import Epoch, TrainingReport
from models.predictors.validation import check_targets, mean_nmse
from models.weight_average import WeightAverage


def train(
    build: Callable[[], PredictorNetwork],
    samples: Samples,
    dev: Samples | None,
    bank: Bank,
    *,
    options: TrainingOptions | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[Epoch], None] | None = None,
) -> tuple[PredictorNetwork, TrainingReport]:
    """Fit a network with the loss L = L_pred + gamma L_further (for M3TR, L_further is L_mhp of section 3.4).

    L_pred is the mean over the targets of the minibatch's nMSE on known labels: squared error over the population variance
    of the training targets. The standardisers are fitted on `samples`.

    An epoch shows every training video once, in one of its windows, drawn at random by `samples.share`. On one machine's
    CPU the same seed and thread count give bit-identical weights.

    Args:
        build: Returns the network with initial weights. It is called after the seed was set.
        samples: Windows of the training videos.
        dev: Windows of the validation videos. Their nMSE, weighted by `dev.weights` and averaged over the targets, decides
            when training stops and which epoch's weights are kept. With None all epochs run and the last weights are kept.
        bank: The videos that neighbours are taken from.
        options: Options of the training; None for the defaults.
        seed: Seed of the weights, of the order of the videos and of the choice of their windows.
        device: Device to train on.
        progress: Function to call after each epoch.

    Returns:
        The network in evaluation mode, and the record of the training.

    Raises:
        ValueError: Training items have no target, are fewer than 2 or have equal targets; feedback is missing; or
            `Samples.check_against` fails.
        FloatingPointError: The loss is NaN or infinite.
    """
    options = options or TrainingOptions()
    check_targets(samples, dev)
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):  # the caller's random state does not change
        torch.manual_seed(seed)
        network = build()
        for name, part in (("training", samples), ("validation", dev)):
            if part is not None:
                if network.reads_feedback and part.feedback is None:
                    raise ValueError(f"a temporal encoder needs the feedback of the {name} items")
                if network.reads_tables and None in (part.table, bank.table):
                    raise ValueError(f"the network needs the tables of the {name} items and of the bank")
                part.check_against(bank)
        # Each video once, whatever its number of windows.
        network.fit_scales(samples, samples.first_windows)
        network.to(device)
        optimiser = torch.optim.AdamW(network.parameter_groups(options), weight_decay=options.weight_decay)
        average = WeightAverage(network, decay=options.averaging, exact=network.constrained_parameters())
        order = np.random.default_rng(seed)
        report = TrainingReport(seed)
        best: dict[str, Tensor] | None = None
        for epoch in range(1, options.epochs + 1):
            begun = time.perf_counter()
            losses = _epoch(average, samples, bank, optimiser, options, samples.one_window_each(order), epoch, device)
            dev_nmse = None
            if dev is not None:
                predicted = predict(average.network, dev, bank, device=device)
                dev_nmse = mean_nmse(dev, predicted, scale=network.standardise_target.scale.cpu().numpy())
            now = time.perf_counter()
            report.epochs.append(
                Epoch(
                    epoch=epoch,
                    loss=losses[0],
                    prediction_loss=losses[1],
                    process_loss=losses[2] if network.reads_feedback and options.gamma > 0 else None,
                    dev_nmse=dev_nmse,
                    seconds=now - begun,
                    items_per_second=len(np.unique(samples.items)) / (now - begun),
                    seconds_left=(now - started) / epoch * (options.epochs - epoch),
                )
            )
            if progress is not None:
                progress(report.epochs[-1])
            if dev_nmse is None or report.best_dev_nmse is None or dev_nmse < report.best_dev_nmse:
                report.best_epoch, report.best_dev_nmse = epoch, dev_nmse
                best = None if dev is None else copy.deepcopy(average.network.state_dict())
            elif epoch - report.best_epoch >= options.patience:
                report.stopped_early = True
                break
    if best is not None:
        average.network.load_state_dict(best)
    report.seconds = time.perf_counter() - started
    return average.network.eval(), report


def _epoch(
    average: WeightAverage[PredictorNetwork],
    samples: Samples,
    bank: Bank,
    optimiser: torch.optim.Optimizer,
    options: TrainingOptions,
    order: np.ndarray,
    epoch: int,
    device: torch.device | str,
) -> np.ndarray:
    """Train on the windows `order` once, and return the means of L, L_pred and L_further, (3,)."""
    network = average.source.train()
    total = np.zeros(3)
    for number, rows in enumerate(batches(order, options.batch_size), start=1):
        batch = minibatch(
            samples,
            bank,
            rows,
            with_feedback=network.reads_feedback,
            with_tables=network.reads_tables,
            device=device,
        )
        losses = joint_loss(network, batch, gamma=options.gamma)
        values = np.array([float(loss.detach()) for loss in losses])
        if not np.isfinite(values).all():
            raise FloatingPointError(
                f"the loss is not finite at epoch {epoch}, batch {number} "
                f"(L {values[0]}, L_pred {values[1]}, L_further {values[2]}); try a smaller learning rate"
            )
        optimiser.zero_grad(set_to_none=True)
        losses[0].backward()
        nn.utils.clip_grad_norm_(network.parameters(), options.clip)
        optimiser.step()
        network.after_step(optimiser, batch, options)
        average.update()
        total += values * len(rows)
    return total / len(order)


def joint_loss(network: PredictorNetwork, batch: Minibatch, *, gamma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the joint loss of a minibatch (section 3.4).

    Args:
        network: The network.
        batch: A minibatch with labels.
        gamma: Weight of the network's further loss.

    Returns:
        L, L_pred and L_further, scalars. L_further is 0 if the network reads no feedback or gamma is 0.
    """
    # On standardised targets the mean squared error is the nMSE.
    error = network.standardise_target(network.forecast(batch)) - network.standardise_target(batch.label)
    known = ~batch.label.isnan()
    by_target = [error[:, k][known[:, k]].square().mean() for k in range(error.shape[1]) if known[:, k].any()]
    prediction_loss = torch.stack(by_target).mean() if by_target else (error.nan_to_num() * 0.0).sum()
    if batch.feedback is None or gamma == 0:
        return prediction_loss, prediction_loss, prediction_loss.new_zeros(())
    further_loss = network.further_loss(batch)
    return prediction_loss + gamma * further_loss, prediction_loss, further_loss
