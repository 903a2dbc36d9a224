"""Maximum likelihood for a Mamba-Hawkes process, by Adam over random pieces of the sequences.

m3tr starts at the fitted classical process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.history import counted_events
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.neural_start import initialise, soften, start_from_classical
from models.hawkes.penalties import shrink
from models.hawkes.pieces import Pieces
from models.hawkes.report import Epoch, FitReport
from models.weight_average import WeightAverage

STEP_EVENTS = 4096  # largest average number of events per step; long sequences make more steps, not larger ones
STARTING_SHARE = 0.25  # share of max_seconds for the classical process that the fit starts from
LEVELLING = 5  # iterations to make expected equal observed events under the bound on the branching ratio
CLIP = 10.0  # largest norm of a gradient, relative to the running mean of the norms


def fit_neural(
    process: MambaHawkesProcess,
    train: EventBatch,
    dev: EventBatch,
    *,
    penalty: str | None,
    strength: float | None,
    window: str,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    averaging: float,
    max_branching: float | None,
    max_seconds: float | None,
    seed: int,
    progress: Callable[[Epoch], None] | None,
) -> FitReport:
    """Fit a MambaHawkesProcess; see `fit.fit` for the arguments."""
    began, report = time.monotonic(), FitReport()
    is_new = not bool(process.initialised)
    if is_new:
        initialise(process, train, window=window, seed=seed)
        if process.excitation is not None:
            share = None if max_seconds is None else STARTING_SHARE * max_seconds
            start_from_classical(process, train, dev, window=window, max_branching=max_branching, max_seconds=share)
    pieces, held_out = Pieces(process, train, window), Pieces(process, dev, window)
    per_step = min(batch_size, max(1, STEP_EVENTS * len(pieces) // max(int(pieces.lengths.sum()), 1)))
    steps = math.ceil(len(pieces) / per_step)
    # Every step divides by the same number, so that every event has the same weight however many events a step holds.
    divisor = pieces.scored * per_step / len(pieces)
    best, best_weights = -math.inf, None
    step, norm = 0, 0.0

    def record(scored: MambaHawkesProcess, likelihood: float) -> bool:
        """Append an epoch to the report; return whether it is the last."""
        nonlocal best, best_weights
        score = totals(scored, held_out).per_event
        report.curve.append(Epoch(len(report.curve), likelihood / pieces.scored, score, time.monotonic() - began))
        latest = report.curve[-1]
        if progress is not None:
            progress(latest)
        penalised = penalty is None or latest.index > 0  # the start is not penalised, so it cannot be the result
        if latest.dev > best and penalised:
            best, report.best_epoch = latest.dev, latest.index
            best_weights = {name: value.clone() for name, value in scored.state_dict().items()}
        late = max_seconds is not None and latest.seconds >= max_seconds
        return latest.index - report.best_epoch >= patience or late or not math.isfinite(latest.train)

    record(process, totals(process, pieces).likelihood)
    if is_new and process.excitation is not None:
        soften(
            process, train, window=window
        )  # the classical process itself has been scored, and is kept if it stays the best
    optimiser = torch.optim.AdamW(_parameter_groups(process, weight_decay), lr=learning_rate, betas=(0.9, 0.98))
    branching = () if process.excitation is None else [process.excitation.branching]
    averaged = WeightAverage(process, decay=averaging, exact=branching)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from the global generator
        for _ in range(epochs):
            process.train()
            pieces.refresh(process)
            total = 0.0
            for numbers in torch.randperm(len(pieces), generator=generator).split(per_step):
                done = step / (steps * epochs)
                if max_seconds is not None:
                    done = max(done, (time.monotonic() - began) / max_seconds)
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate * _schedule(step, done, warm_up=min(100, steps))
                optimiser.zero_grad()
                for part in pieces.parts(numbers):
                    levels = process.encode(part.batch, part.carried)
                    own, integral = process.likelihood_of(levels, part.batch, part.window)
                    likelihood = own.sum() - integral.sum()
                    (-likelihood / divisor).backward()
                    total += float(likelihood.detach())
                limit = CLIP * norm if step else math.inf
                reached = float(torch.nn.utils.clip_grad_norm_(process.parameters(), limit))
                norm = 0.9 * norm + 0.1 * min(reached, limit) if step else reached
                optimiser.step()
                if penalty is not None:
                    shrink(process, optimiser, penalty, strength * len(train) / train.num_events)
                process.project_(max_branching=max_branching)
                averaged.update()
                step += 1
            if record(averaged.network, total):
                break
    if best_weights is None:
        raise ArithmeticError("the fit diverged in its first epoch: no finite log-likelihood on dev")
    process.load_state_dict(best_weights)
    _finish(process, pieces, held_out, report, max_branching)
    report.seconds = time.monotonic() - began
    report.branching_ratio = process.branching_ratio()
    process.eval()
    return report


@dataclass(frozen=True)
class Totals:
    """Sums over a set of sequences.

    Attributes:
        likelihood: Log-likelihood in nats.
        expected: (k,) float64, expected events by type.
        observed: (k,) float64, observed events by type.
    """

    likelihood: float
    expected: Tensor
    observed: Tensor

    @property
    def per_event(self) -> float:
        """Log-likelihood per event, in nats."""
        return self.likelihood / max(float(self.observed.sum()), 1.0)

    @property
    def ratio(self) -> float:
        """Expected events per event."""
        return float(self.expected.sum()) / max(float(self.observed.sum()), 1.0)


@torch.no_grad()
def totals(process: MambaHawkesProcess, pieces: Pieces) -> Totals:
    """Return the log-likelihood and the expected events of a set, to the process's quadrature tolerance."""
    process.eval()
    likelihood, k = 0.0, process.num_types
    expected, observed = (torch.zeros(k, dtype=torch.float64) for _ in range(2))
    for part in pieces.walk(process):
        levels = process.encode(part.batch, part.carried)
        own, integral = process.likelihood_of(levels, part.batch, part.window)
        likelihood += float(own.sum() - integral.sum())
        expected += integral.sum(0).cpu()
        seen = part.batch.types[counted_events(part.batch, part.window)]
        observed += torch.bincount(seen.cpu(), minlength=k)
    return Totals(likelihood, expected, observed)


@torch.no_grad()
def _finish(
    process: MambaHawkesProcess, pieces: Pieces, held_out: Pieces, report: FitReport, max_branching: float | None
) -> None:
    """Scale each type's intensity so that expected equal observed events, and score the result.

    This factor maximises the likelihood exactly, because all terms of a type's intensity can be scaled together. It removes
    the error that Adam's noise leaves in the overall level. If the factors lower the score on dev and the level was right
    to within one percent without them, they are undone.
    """
    result, score = totals(process, pieces), report.best.dev
    if process.log_softness.requires_grad:
        kept = {name: value.clone() for name, value in process.state_dict().items()}
        seen = result.observed > 0
        process.scale_intensity_(torch.where(seen, result.observed, 1.0) / torch.where(seen, result.expected, 1.0))
        process.project_(max_branching=max_branching)
        scaled = totals(process, held_out).per_event
        if scaled >= score or not _is_level(result.ratio):
            result = _raise_level(process, pieces)
            score = totals(process, held_out).per_event
        else:
            process.load_state_dict(kept)
    report.curve[report.best_epoch] = replace(report.best, train=result.per_event, dev=score)
    report.events_ratio = result.ratio


def _raise_level(process: MambaHawkesProcess, pieces: Pieces) -> Totals:
    """Scale baseline and network until expected equal observed events; return the totals.

    It makes up for the bound on the branching ratio, which can undo part of the scaling in `_finish`.
    """
    result = totals(process, pieces)
    latest, slope = 1.0, 0.3
    for _ in range(LEVELLING):
        if _is_level(result.ratio):
            break
        factor = latest * min(max(1 + (1 - result.ratio) / slope, 0.5), 2.0)
        process.scale_intensity_(torch.full((process.num_types,), factor / latest), excitation=False)
        before, result = result.ratio, totals(process, pieces)
        slope = max((result.ratio - before) / (factor / latest - 1), 0.02)
        latest = factor
    return result


def _is_level(ratio: float) -> bool:
    return abs(ratio - 1) <= 0.01


def _schedule(step: int, done: float, *, warm_up: int) -> float:
    rise = min(1.0, (step + 1) / warm_up)
    return rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def _parameter_groups(process: MambaHawkesProcess, weight_decay: float) -> list[dict]:
    # Weight decay applies to the network's matrices only: baselines, rates, branching and norms have a scale with a meaning.
    matrices = [p for name, p in process.named_parameters() if p.ndim == 2 and name.endswith("weight")]
    decayed = {id(p) for p in matrices}
    rest = [p for p in process.parameters() if id(p) not in decayed]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
