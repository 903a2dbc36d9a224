"""Training of M3TR: the joint loss, early stopping on the validation items, and the best epoch's weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.features import MODALITIES
from models.predictors.m3tr import M3TR, M3TRConfig
from models.predictors.prediction import predict
from models.predictors.samples import Bank, Minibatch, Samples, batches, minibatch


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training.

    Batch size and weight decay are M3TR's (section 4.2.3), and so is dropout 0 in `M3TRConfig`.

    Attributes:
        learning_rate: Learning rate of AdamW.
        process_learning_rate: Learning rate of the process inside. It is lower, because the process starts fitted.
        batch_size: Windows per step.
        weight_decay: Decoupled weight decay of the network. The process has none.
        gamma: Weight of the process's loss. With 0 the process stays as it was fitted.
        epochs: Largest number of epochs.
        patience: Epochs without a better validation nMSE before training stops.
        clip: Largest norm of the gradient.
        penalty: Penalty on the process's influences: "mcp", "scad" or None. Use the penalty of its own fit.
        penalty_strength: Strength of that penalty.
        max_branching: Largest branching ratio that the process may reach; None for no limit.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    learning_rate: float = 1e-3
    process_learning_rate: float = 1e-4
    batch_size: int = 64
    weight_decay: float = 1e-3
    gamma: float = 0.1
    epochs: int = 100
    patience: int = 15
    clip: float = 1.0
    penalty: str | None = None
    penalty_strength: float = 0.05
    max_branching: float | None = 0.95

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("learning_rate", "process_learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, given {getattr(self, name)}")
        for name in ("weight_decay", "gamma"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, given {getattr(self, name)}")
        for name in ("batch_size", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, given {getattr(self, name)}")


@dataclass(frozen=True)
class Epoch:
    """Results of one pass over the training items.

    Attributes:
        epoch: Number of the pass, from 1.
        loss: Mean of L over the pass.
        prediction_loss: Mean of L_pred.
        process_loss: Mean of L_mhp; None if the process is not trained.
        dev_nmse: Validation nMSE after the pass; None without validation items.
        seconds: Seconds that the pass took, with validation.
        items_per_second: Training videos per second.
        seconds_left: Estimated seconds until the last epoch, without early stopping.
    """

    epoch: int
    loss: float
    prediction_loss: float
    process_loss: float | None
    dev_nmse: float | None
    seconds: float
    items_per_second: float
    seconds_left: float


@dataclass
class TrainingReport:
    """Record of one training.

    Attributes:
        seed: The seed.
        epochs: Every epoch, in order.
        best_epoch: The epoch whose weights were kept, from 1.
        best_dev_nmse: Its validation nMSE; None without validation items.
        stopped_early: Whether training stopped before the last epoch.
        seconds: Seconds of the whole training.
    """

    seed: int
    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_dev_nmse: float | None = None
    stopped_early: bool = False
    seconds: float = 0.0


def train(
    samples: Samples,
    dev: Samples | None,
    bank: Bank,
    *,
    config: M3TRConfig | None = None,
    options: TrainingOptions | None = None,
    temporal_encoder: nn.Module | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Callable[[Epoch], None] | None = None,
) -> tuple[M3TR, TrainingReport]:
    """Fit M3TR with the loss L = L_pred + gamma L_mhp (section 3.4).

    L_pred is the nMSE of the minibatch: squared error over the population variance of the training targets. L_mhp is
    the negative log-likelihood per event of the windows' observed events. The standardisers are fitted on `samples`.

    An epoch shows every training video once, in one of its windows, drawn at random by `samples.share`. On one machine's
    CPU the same seed and thread count give bit-identical weights.

    Args:
        samples: Windows of the training videos.
        dev: Windows of the validation videos. Their nMSE, weighted by `dev.weights`, decides when training stops and which
            epoch's weights are kept. With None all epochs run and the last weights are kept.
        bank: The videos that neighbours are taken from.
        config: Hyper-parameters of the network; None for the defaults.
        options: Options of the training; None for the defaults.
        temporal_encoder: A `models.temporal.TemporalEncoder`. A copy of it makes the windows' temporal rows, and is trained
            too if gamma > 0; `samples` and `dev` then need feedback. None uses the stored temporal rows. It is ignored
            if `config.use_temporal` is False.
        seed: Seed of the weights, of the order of the videos and of the choice of their windows.
        device: Device to train on.
        progress: Function to call after each epoch.

    Returns:
        The model in evaluation mode, and the record of the training.

    Raises:
        ValueError: Training items have no target, are fewer than 2 or have equal targets; feedback is missing; or
            `Samples.check_against` fails.
        FloatingPointError: The loss is NaN or infinite.
    """
    config, options = config or M3TRConfig(), options or TrainingOptions()
    if not config.use_temporal:
        temporal_encoder = None
    _check(samples, dev, bank, needs_feedback=temporal_encoder is not None)
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[]):  # the caller's random state does not change
        torch.manual_seed(seed)
        encoder = copy.deepcopy(temporal_encoder)
        if encoder is not None and options.gamma == 0:
            encoder.requires_grad_(False)
        model = M3TR(config, samples.features.widths, temporal_encoder=encoder)
        videos = np.sort(
            np.unique(samples.items, return_index=True)[1]
        )  # each video once, whatever its number of windows
        for name in MODALITIES:
            model.standardise[name].fit_rows(getattr(samples.features, name).take(videos), name=name)
        model.standardise_target.fit(samples.target[videos, None])
        model.to(device)
        optimiser = _optimiser(model, options)
        order = np.random.default_rng(seed)
        report = TrainingReport(seed)
        best: dict[str, Tensor] | None = None
        for epoch in range(1, options.epochs + 1):
            begun = time.perf_counter()
            losses = _epoch(model, samples, bank, optimiser, options, samples.one_window_each(order), epoch, device)
            dev_nmse = None if dev is None else _dev_nmse(model, dev, bank, options, device)
            now = time.perf_counter()
            report.epochs.append(
                Epoch(
                    epoch=epoch,
                    loss=losses[0],
                    prediction_loss=losses[1],
                    process_loss=losses[2] if encoder is not None and options.gamma > 0 else None,
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
                best = None if dev is None else copy.deepcopy(model.state_dict())
            elif epoch - report.best_epoch >= options.patience:
                report.stopped_early = True
                break
    if best is not None:
        model.load_state_dict(best)
    report.seconds = time.perf_counter() - started
    return model.eval(), report


def _check(samples: Samples, dev: Samples | None, bank: Bank, *, needs_feedback: bool) -> None:
    for name, part in (("training", samples), ("validation", dev)):
        if part is None:
            continue
        if part.target is None or not len(part):
            raise ValueError(
                f"the {name} items need targets, given {len(part)} items {'without' if part.target is None else 'with'} targets"
            )
        if needs_feedback and part.feedback is None:
            raise ValueError(f"a temporal encoder needs the feedback of the {name} items")
        part.check_against(bank)
    if len(np.unique(samples.items)) < 2 or np.ptp(samples.target) == 0:
        raise ValueError(
            f"training needs two videos and two different targets, given {len(np.unique(samples.items))} videos with "
            f"targets from {samples.target.min()} to {samples.target.max()}"
        )


def _optimiser(model: M3TR, options: TrainingOptions) -> torch.optim.Optimizer:
    process = [] if model.temporal_encoder is None else list(model.temporal_encoder.parameters())
    process = [parameter for parameter in process if parameter.requires_grad]
    of_process = {id(parameter) for parameter in process}
    groups = [{"params": [p for p in model.parameters() if id(p) not in of_process], "lr": options.learning_rate}]
    if process:
        # Weight decay would pull the fitted process towards 0, away from its fit.
        groups.append({"params": process, "lr": options.process_learning_rate, "weight_decay": 0.0})
    return torch.optim.AdamW(groups, weight_decay=options.weight_decay)


def _epoch(
    model: M3TR,
    samples: Samples,
    bank: Bank,
    optimiser: torch.optim.Optimizer,
    options: TrainingOptions,
    order: np.ndarray,
    epoch: int,
    device: torch.device | str,
) -> np.ndarray:
    """Train on the windows `order` once, and return the means of L, L_pred and L_mhp, (3,)."""
    model.train()
    total = np.zeros(3)
    for number, rows in enumerate(batches(order, options.batch_size), start=1):
        batch = minibatch(samples, bank, rows, with_feedback=model.temporal_encoder is not None, device=device)
        losses = joint_loss(model, batch, gamma=options.gamma)
        values = np.array([float(loss.detach()) for loss in losses])
        if not np.isfinite(values).all():
            raise FloatingPointError(
                f"the loss is not finite at epoch {epoch}, batch {number} "
                f"(L {values[0]}, L_pred {values[1]}, L_mhp {values[2]}); try a smaller learning rate"
            )
        optimiser.zero_grad(set_to_none=True)
        losses[0].backward()
        nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimiser.step()
        if batch.feedback is not None and options.gamma > 0:
            # The penalty is defined per sequence, the loss per event.
            per_event = len(rows) / batch.feedback.observed.lengths.sum().clamp(min=1)
            model.temporal_encoder.constrain_(
                optimiser,
                penalty=options.penalty,
                strength=options.gamma * options.penalty_strength * float(per_event),
                max_branching=options.max_branching,
            )
        total += values * len(rows)
    return total / len(order)


def joint_loss(model: M3TR, batch: Minibatch, *, gamma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the joint loss of a minibatch (section 3.4).

    Args:
        model: The model.
        batch: A minibatch with labels.
        gamma: Weight of L_mhp.

    Returns:
        L, L_pred and L_mhp, scalars. L_mhp is 0 if the model has no process or gamma is 0.
    """
    predicted = model(batch.target, batch.neighbours, batch.neighbourhood, completed=batch.completed)
    # On standardised targets the mean squared error is the nMSE.
    error = model.standardise_target(predicted[:, None]) - model.standardise_target(batch.label[:, None])
    prediction_loss = error.square().mean()
    if batch.feedback is None or gamma == 0:
        return prediction_loss, prediction_loss, prediction_loss.new_zeros(())
    events = batch.feedback.observed.lengths.sum().clamp(min=1)
    process_loss = -model.temporal_encoder.log_likelihood(batch.feedback.observed).sum() / events
    return prediction_loss + gamma * process_loss, prediction_loss, process_loss


def _dev_nmse(model: M3TR, dev: Samples, bank: Bank, options: TrainingOptions, device: torch.device | str) -> float:
    predicted = predict(model, dev, bank, batch_size=options.batch_size, device=device)
    target, weights = dev.target.astype(np.float64), dev.weights
    error = float(weights @ (predicted - target) ** 2)
    if np.ptp(target) > 0:
        return error / float(weights @ (target - weights @ target) ** 2)
    # The nMSE of constant validation targets is undefined. Division by the training variance still ranks the epochs.
    return error / float(model.standardise_target.scale.item() ** 2)
