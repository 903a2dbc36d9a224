"""Training of any network: the joint loss, early stopping on the validation items, and the best epoch's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.checkpoints import Checkpoint
from models.predictors.network import PredictorNetwork
from models.predictors.ranks import SingleProcess
from models.predictors.samples import Bank, Minibatch, Samples, batches
from models.predictors.training_options import Precision, TrainingOptions
from models.predictors.training_report import Epoch, TrainingReport
from models.predictors.training_state import TrainingState
from models.predictors.validation import check_targets, mean_nmse


def train(
    build: Callable[[], PredictorNetwork],
    samples: Samples,
    dev: Samples | None,
    bank: Bank,
    *,
    options: TrainingOptions | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    checkpoint: Checkpoint | None = None,
    progress: Callable[[Epoch], None] | None = None,
    ranks: SingleProcess | None = None,
) -> tuple[PredictorNetwork, TrainingReport]:
    """Fit a network with the loss L = L_pred + gamma L_further (M3TR section 3.4: L_further is L_mhp).

    L_pred is the mean over the targets of the minibatch's nMSE on known labels: squared error over the population variance
    of the training targets. The standardisers are fitted on `samples`.

    A pass shows every training video once, in one of its windows, drawn at random by `samples.share`. An epoch is a pass, or,
    with more than `options.epoch_videos` videos, an equal part of one. On one machine's CPU the same seed and thread count
    give bit-identical weights.

    Args:
        build: Returns the network with initial weights. It is called after the seed was set.
        samples: Windows of the training videos.
        dev: Windows of the validation videos. Their nMSE, weighted by `dev.weights` and averaged over the targets, decides
            when training stops and which epoch's weights are kept. With None all epochs run and the last weights are kept.
        bank: The videos that neighbours are taken from.
        options: Options of the training; None for the defaults.
        seed: Seed of the weights, of the order of the videos and of the choice of their windows.
        device: Device to train on.
        checkpoint: Where the training keeps its state, and continues from if it was killed; removed at the end. None keeps
            none.
        progress: Function to call after each epoch, and for the epochs of a training that continues.
        ranks: The processes that train the network together (`models.predictors.ranks.Ranks`), all of which call this function
            with the same arguments; None for this one alone.

    Returns:
        The network in evaluation mode, and the record of the training.

    Raises:
        ValueError: Training items have no target, are fewer than 2 or have equal targets; feedback is missing; or
            `Samples.check_against` fails.
        FloatingPointError: The loss is NaN or infinite.
    """
    options, ranks = options or TrainingOptions(), ranks or SingleProcess()
    check_targets(samples, dev)
    with torch.random.fork_rng(devices=[]):  # the caller's random state does not change
        torch.manual_seed(seed)
        network = build()
        _check_inputs(network, samples, dev, bank)
        # Each video once, whatever its number of windows.
        network.fit_scales(samples, samples.first_windows)
        state = TrainingState(network.to(device), options, seed)
        if checkpoint is not None and (held := checkpoint.read()) is not None:
            state.restore(held)
            for epoch in state.report.epochs if progress is not None else ():
                progress(epoch)
        losses = ranks.parallel(JointLoss(network))
        while len(state.report.epochs) < options.epochs and not state.report.stopped_early:
            if state.rows is None:
                state.begin_epoch(samples, options.epoch_videos)
            for rows in list(batches(state.rows, options.batch_size))[len(state.losses) :]:
                _step(state, losses, samples, bank, rows, options, device, ranks)
                if checkpoint is not None and ranks.is_first:
                    checkpoint.write_if_due(state.held)
            _end_epoch(state, samples, dev, bank, options, device, ranks)
            if progress is not None:
                progress(state.report.epochs[-1])
    if state.best is not None:
        state.average.network.load_state_dict(state.best)
    if checkpoint is not None and ranks.is_first:
        checkpoint.remove()
    state.report.seconds = state.clock
    return state.average.network.eval(), state.report


def _check_inputs(network: PredictorNetwork, samples: Samples, dev: Samples | None, bank: Bank) -> None:
    """Raise ValueError if the samples lack what the network reads, or do not fit the bank."""
    for name, part in (("training", samples), ("validation", dev)):
        if part is not None:
            if network.reads_feedback and part.feedback is None:
                raise ValueError(f"a temporal encoder needs the feedback of the {name} items")
            if network.reads_tables and None in (part.table, bank.table):
                raise ValueError(f"the network needs the tables of the {name} items and of the bank")
            if network.reads_posts and part.posts is None:
                raise ValueError(f"the network needs the earlier posts of the {name} items")
            part.check_against(bank)


def _step(
    state: TrainingState,
    joint: nn.Module,
    samples: Samples,
    bank: Bank,
    rows: np.ndarray,
    options: TrainingOptions,
    device: torch.device | str,
    ranks: SingleProcess,
) -> None:
    """Take one step of the optimiser on the windows `rows`."""
    network = state.network.train()
    rows, part = ranks.divide(rows)
    batch = replace(network.minibatch(samples, bank, rows, device=device), part=part)
    gamma, autocast = network.further_weight(options), _autocast(options.precision, device)
    ranks.seed_step(state.report.seed, len(state.report.epochs), len(state.losses))
    losses = joint(batch, gamma=gamma, autocast=autocast)
    state.optimiser.zero_grad(set_to_none=True)
    total = ranks.backward(losses, part)
    nn.utils.clip_grad_norm_(network.parameters(), options.clip)
    state.optimiser.step()
    network.after_step(state.optimiser, batch, options)
    state.average.update()
    # Read at the end of the epoch: reading a number of a GPU waits for all its work.
    state.losses.append(total)


def _end_epoch(
    state: TrainingState,
    samples: Samples,
    dev: Samples | None,
    bank: Bank,
    options: TrainingOptions,
    device: torch.device | str,
    ranks: SingleProcess,
) -> None:
    """Validate after an epoch, add it to the report, keep its weights if they are the best, and decide whether to stop."""
    network, report, number = state.network, state.report, len(state.report.epochs) + 1
    loss, prediction_loss, further_loss = _mean_losses(state, options, number)
    dev_nmse = None
    if dev is not None:
        predicted = ranks.predict(state.average.network, dev, bank, device=device)
        dev_nmse = mean_nmse(dev, predicted, scale=network.standardise_target.scale.cpu().numpy())
    now = state.clock
    report.epochs.append(
        Epoch(
            epoch=number,
            loss=loss,
            prediction_loss=prediction_loss,
            further_loss=further_loss if network.further_weight(options) > 0 else None,
            dev_nmse=dev_nmse,
            seconds=now - state.begun,
            items_per_second=len(state.rows) / (now - state.begun),
            seconds_left=now / number * (options.epochs - number),
        )
    )
    if dev_nmse is None or report.best_dev_nmse is None or dev_nmse < report.best_dev_nmse:
        report.best_epoch, report.best_dev_nmse = number, dev_nmse
        state.best = None if dev is None else copy.deepcopy(state.average.network.state_dict())
    elif number - report.best_epoch >= options.patience:
        report.stopped_early = True
    state.rows, state.losses = None, []


def _mean_losses(state: TrainingState, options: TrainingOptions, epoch: int) -> list[float]:
    """Return the means of L, L_pred and L_further over the epoch's windows."""
    total = np.zeros(3)
    losses = torch.stack(state.losses).cpu().double().numpy()  # (steps, 3)
    for number, (values, rows) in enumerate(zip(losses, batches(state.rows, options.batch_size)), start=1):
        if not np.isfinite(values).all():
            raise FloatingPointError(
                f"the loss is not finite at epoch {epoch}, batch {number} "
                f"(L {values[0]}, L_pred {values[1]}, L_further {values[2]}); try a smaller learning rate"
            )
        total += values * len(rows)
    return (total / len(state.rows)).tolist()


def _autocast(precision: Precision, device: torch.device | str) -> AbstractContextManager[None]:
    """Return the context in which the network computes its forecasts."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu and (precision == "bfloat16" or (precision == "auto" and torch.cuda.is_bf16_supported())):
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


class JointLoss(nn.Module):
    """`joint_loss` of a network as a module, which DDP needs."""

    def __init__(self, network: PredictorNetwork) -> None:
        """Take the network."""
        super().__init__()
        self.network = network

    def forward(
        self, batch: Minibatch, *, gamma: float, autocast: AbstractContextManager[None] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return `joint_loss`."""
        return joint_loss(self.network, batch, gamma=gamma, autocast=autocast)


def joint_loss(
    network: PredictorNetwork,
    batch: Minibatch,
    *,
    gamma: float,
    autocast: AbstractContextManager[None] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the joint loss of a minibatch, or its share of one that several processes compute (section 3.4).

    Args:
        network: The network.
        batch: A minibatch with labels.
        gamma: Weight of the network's further loss.
        autocast: Context in which the network computes its forecasts; None for none. The losses are computed outside.

    Returns:
        L, L_pred and L_further, scalars. L_further is 0 if gamma is 0.
    """
    with autocast or nullcontext():
        forecast = network.forecast(batch)
    # On standardised targets the mean squared error is the nMSE. Nothing here depends on which labels are known, because to
    # know that of a GPU would mean to wait for it.
    error = network.standardise_target(forecast) - network.standardise_target(batch.label)
    known = ~batch.label.isnan()
    count = batch.part.total(known.sum(0))  # (T,)
    by_target = torch.where(known, error, 0.0).square().sum(0) / count.clamp(min=1)
    prediction_loss = by_target.sum() / (count > 0).sum().clamp(min=1)
    if gamma == 0:
        return prediction_loss, prediction_loss, prediction_loss.new_zeros(())
    further_loss = network.further_loss(batch)
    return prediction_loss + gamma * further_loss, prediction_loss, further_loss
