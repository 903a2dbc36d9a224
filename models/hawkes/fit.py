"""Fitting a process by maximum likelihood (M3TR eq. 2; MUFM eq. 48)."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from models.events import EventBatch
from models.hawkes.classical_fit import MOST_EVENTS, batches_of, fit_classical, score_of
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import counted_events, window_bounds
from models.hawkes.neural_fit import fit_neural, totals
from models.hawkes.pieces import Pieces
from models.hawkes.process import PointProcess
from models.hawkes.report import Epoch, FitReport

LEAST_RATIO = 0.99  # of expected to observed events


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

    MambaHawkesProcess: m3tr starts at the classical process fitted to `train`, which it contains, so that it does not end
    below it. Then Adam takes steps over random pieces of the sequences with a warm-up and a cosine schedule; the weights are
    averaged over the last steps; it stops after `patience` passes without a better `dev`. ExponentialHawkes: Fisher scoring
    from several starts, the decay rates bounded by what the data can tell; of the arguments below it heeds penalty,
    strength, window, max_branching, max_seconds and progress. A process that was fitted before goes on from where it is.

    Every event weighs alike, whatever sequence it is in. After the fit `report.events_ratio` holds the expected events per
    event of the training set, which must be 1.

    Args:
        process: the process; it is changed in place.
        train: the sequences to fit.
        dev: the sequences to stop by.
        penalty: None, "mcp" or "scad" on the branching matrix, subtracted from the log-likelihood per sequence.
        strength: the penalty's gamma. For ExponentialHawkes None chooses it along a path by BIC; a MambaHawkesProcess needs
            one.
        window: "observation" or "events", see `PointProcess.log_likelihood`.
        epochs: passes over the training set, at most.
        batch_size: sequences per step, at most. Sequences of more than 512 events are cut into pieces, which count as
            sequences; a step holds about 4,096 events at most, so that long sequences make more steps.
        learning_rate: Adam's step, at its highest.
        weight_decay: of the network's matrices.
        patience: passes without a better `dev` before the fit stops.
        averaging: how much of the average weights a step keeps; 0 takes the weights as they are.
        max_branching: largest branching ratio. None leaves it free; at 1 or above the process cannot be simulated.
        max_seconds: stop after so long; the schedule is stretched or shortened to it, and the classical start takes at most
            a quarter of it. Without it the same seed on the same machine and thread count gives the same process.
        seed: of the network's weights, the order of the pieces and dropout.
        progress: called with each Epoch.

    Returns:
        The curve of the fit and what came out of it.

    Raises:
        EventError: for a type that the process does not know.
        ValueError: for an unknown penalty or window, a number out of range, a set in which the window leaves no event to
            predict, and a training set in whose windows no time passes: its likelihood has no maximum.

    Warns:
        UserWarning: where the ratio of expected to observed events is outside .99 to 1.01.
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
        report = fit_classical(
            process,
            train,
            dev,
            penalty=penalty,
            strength=strength,
            window=window,
            max_branching=max_branching,
            max_seconds=max_seconds,
            progress=progress,
        )
        report.events_ratio = _events_ratio(process, train, window)
    else:
        if penalty is not None and (strength is None or process.excitation is None):
            raise ValueError(
                "a penalty needs a strength here" if strength is None else "mufm has no influence matrix to penalise"
            )
        report = fit_neural(
            process,
            train,
            dev,
            penalty=penalty,
            strength=strength,
            window=window,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            patience=patience,
            averaging=averaging,
            max_branching=max_branching,
            max_seconds=max_seconds,
            seed=seed,
            progress=progress,
        )
    if not LEAST_RATIO <= report.events_ratio <= 2 - LEAST_RATIO:
        warnings.warn(
            f"the fitted process expects {report.events_ratio:.3f} events for each event of its training set; 1 is right. "
            "The fit has not converged (more epochs), or a bound such as max_branching holds it back",
            stacklevel=2,
        )
    return report


@torch.no_grad()
def _events_ratio(process: ExponentialHawkes, events: EventBatch, window: str) -> float:
    expected = sum(
        float(process.log_likelihood_parts(batch, window=window)[1].sum()) for batch in batches_of(events, MOST_EVENTS)
    )
    return expected / int(counted_events(events, window).sum())


def evaluate(process: PointProcess, events: EventBatch, *, window: str = "observation") -> float:
    """Log-likelihood per event over a whole set, in float64, to the process's quadrature tolerance."""
    process.eval()
    if isinstance(process, ExponentialHawkes):
        return score_of(process, events, window)
    return totals(process, Pieces(process, events, window)).per_event
