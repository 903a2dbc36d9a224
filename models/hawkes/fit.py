"""Fitting a process by maximum likelihood (M3TR eq. 2; MUFM eq. 48)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.averaging import AveragedProcess
from models.hawkes.classical_fit import fit_classical
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events, window_bounds
from models.hawkes.initialisation import initialise
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.penalties import penalty_slope
from models.hawkes.process import PointProcess
from models.hawkes.report import Epoch, FitReport

EVALUATION_BATCH = 64


def fit(
    process: PointProcess,
    train: EventBatch,
    dev: EventBatch,
    *,
    penalty: str | None = None,
    strength: float | None = None,
    window: str = "observation",
    epochs: int = 60,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    patience: int = 10,
    averaging: float = 0.99,
    max_branching: float | None = 0.95,
    max_seconds: float | None = None,
    seed: int = 0,
    progress: Callable[[Epoch], None] | None = None,
) -> FitReport:
    """Fit `process` in place to `train`, keep what is best on `dev`, and leave it in eval mode.

    MambaHawkesProcess: Adam with a warm-up and a cosine schedule, the weights averaged over the last steps, early
    stopping on `dev` after `patience` epochs without improvement. ExponentialHawkes: L-BFGS-B, convex but for the decay
    rates; of the arguments below it heeds penalty, strength, window, max_seconds and progress. A process that was
    fitted before goes on from where it is.

    penalty        None, "mcp" or "scad" on the branching matrix, subtracted from the log-likelihood a sequence
    strength       the penalty's gamma; for ExponentialHawkes None chooses it along a path by BIC
    averaging      of the weights: how much a step keeps of the average before it; 0 takes the weights as they are
    max_seconds    stop after so long; the schedule is stretched or shortened to it. Without it the same seed on the
                   same machine and thread count gives the same process
    progress       called with each Epoch

    Raises EventError for a type the process does not know; ValueError for an unknown penalty or window, a number out of
    range, a set in which the window leaves no event to predict, and a training set in whose windows no time passes: its
    likelihood has no maximum.
    """
    for name, part in (("train", train), ("dev", dev)):
        part.check_types(process.num_types)
        if not bool(counted_events(part, window).any()):
            given = f" to predict: window {window!r} leaves out each sequence's first" if part.num_events else ""
            raise ValueError(f"the {name} set holds no event{given}")
    start, end = window_bounds(train, window)
    if not bool((end > start).any()):
        raise ValueError(
            f"no time passes in the training set's windows ({window!r}), so that the likelihood has no maximum"
        )
    if penalty not in (None, "mcp", "scad"):
        raise ValueError(f"penalty {penalty!r}; allowed: None, mcp, scad")
    if strength is not None and not strength >= 0:
        raise ValueError(f"strength must be at least 0; given {strength}")
    if max_seconds is not None and not max_seconds > 0:
        raise ValueError(f"max_seconds must be above 0; given {max_seconds}")
    if min(epochs, batch_size) < 1:
        raise ValueError(f"epochs and batch_size must be at least 1; given {epochs} and {batch_size}")
    if isinstance(process, ExponentialHawkes):
        return fit_classical(
            process,
            train,
            dev,
            penalty=penalty,
            strength=strength,
            window=window,
            max_seconds=max_seconds,
            progress=progress,
        )
    if penalty is not None and (strength is None or process.excitation is None):
        raise ValueError(
            "a penalty needs a strength here" if strength is None else "mufm has no influence matrix to penalise"
        )
    generator = torch.Generator().manual_seed(seed)
    if not bool(process.initialised):
        initialise(process, train, window=window, seed=seed)

    began = time.monotonic()
    optimiser = torch.optim.AdamW(_parameter_groups(process, weight_decay), lr=learning_rate, betas=(0.9, 0.98))
    averaged = AveragedProcess(process, decay=averaging)
    steps = math.ceil(len(train) / batch_size)
    report = FitReport()
    best, best_weights = -math.inf, None
    step = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from the global generator
        for epoch in range(epochs):
            process.train()
            total, counted = 0.0, 0
            for rows in length_buckets(train.lengths.cpu(), batch_size, generator):
                done = step / (steps * epochs)
                if max_seconds is not None:
                    done = max(done, (time.monotonic() - began) / max_seconds)
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate * _schedule(step, done, warm_up=min(100, steps))
                batch = train[rows]
                events = int(counted_events(batch, window).sum())
                if events == 0:
                    continue
                likelihood = process.log_likelihood(batch, window=window).sum()
                loss = -likelihood / events
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(process.parameters(), 1.0)
                optimiser.step()
                if penalty is not None:
                    shrink(process, optimiser, penalty, strength * len(train) / train.num_events)
                project(process, max_branching=max_branching)
                averaged.update()
                total, counted, step = total + float(likelihood.detach()), counted + events, step + 1
            score = evaluate(averaged.process, dev, window=window)
            record = Epoch(epoch, total / counted, score, time.monotonic() - began)
            report.curve.append(record)
            if progress is not None:
                progress(record)
            if record.dev > best:
                best, report.best_epoch = record.dev, epoch
                best_weights = {name: value.clone() for name, value in averaged.process.state_dict().items()}
            late = max_seconds is not None and record.seconds >= max_seconds
            if epoch - report.best_epoch >= patience or late or not math.isfinite(record.train):
                break
    if best_weights is None:
        raise ArithmeticError("the fit diverged in its first epoch: no finite log-likelihood on dev")
    process.load_state_dict(best_weights)
    report.seconds = time.monotonic() - began
    report.branching_ratio = process.branching_ratio()
    process.eval()
    return report


def evaluate(process: PointProcess, events: EventBatch, *, window: str = "observation") -> float:
    """Log-likelihood an event over a whole set, in float64, to the process's quadrature tolerance."""
    process.eval()
    total, counted = 0.0, 0
    order = events.lengths.argsort()
    with torch.no_grad():
        for rows in order.split(EVALUATION_BATCH):
            batch = events[rows]
            total += float(process.log_likelihood(batch, window=window).sum())
            counted += int(counted_events(batch, window).sum())
    return total / max(counted, 1)


def length_buckets(lengths: Tensor, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Random batches of sequences of about the same length, so that little of a batch is padding."""
    noisy = lengths.double() * (1 + 0.2 * torch.rand(len(lengths), generator=generator, dtype=torch.float64))
    batches = noisy.argsort().split(batch_size)
    for index in torch.randperm(len(batches), generator=generator).tolist():
        yield batches[index]


@torch.no_grad()
def project(process: MambaHawkesProcess, *, max_branching: float | None) -> None:
    """Back to alpha >= 0 and to a stable process after a step; entries the step took below 0 become exactly 0."""
    if process.excitation is None:
        return
    process.excitation.branching.clamp_(min=0)
    if max_branching is not None and (ratio := process.branching_ratio()) > max_branching:
        process.excitation.branching.mul_(max_branching / ratio)


@torch.no_grad()
def shrink(process: MambaHawkesProcess, optimiser: torch.optim.AdamW, kind: str, strength: float) -> None:
    """The proximal step of the penalty's tangent, in Adam's own metric: what it takes below 0 is then exactly 0."""
    matrix = process.excitation.branching
    group = next(group for group in optimiser.param_groups if any(p is matrix for p in group["params"]))
    state = optimiser.state[matrix]
    seen = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
    slope = penalty_slope(matrix.sum(-1, keepdim=True), strength, kind=kind)
    matrix.sub_(group["lr"] * slope / (seen.sqrt() + group["eps"])).clamp_(min=0)


def _schedule(step: int, done: float, *, warm_up: int) -> float:
    rise = min(1.0, (step + 1) / warm_up)
    return rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _parameter_groups(process: PointProcess, weight_decay: float) -> list[dict]:
    # Only the network's matrices are decayed: baselines, rates, branching and norms have their own meaning and scale.
    matrices = [p for name, p in process.named_parameters() if p.ndim == 2 and name.endswith("weight")]
    chosen = {id(p) for p in matrices}
    rest = [p for p in process.parameters() if id(p) not in chosen]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
