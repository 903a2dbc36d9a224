"""Fitting a process by maximum likelihood (M3TR eq. 2; MUFM eq. 48)."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch

from models.events import EventBatch
from models.hawkes.classical_fit import MOST_EVENTS, batches_of, fit_classical, score_of
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.held_out import hold_out
from models.hawkes.history import counted_events, window_bounds
from models.hawkes.neural_fit import fit_neural, totals
from models.hawkes.pieces import Pieces
from models.hawkes.poisson import PoissonProcess, fit_poisson
from models.hawkes.process import PointProcess
from models.hawkes.report import Epoch, FitReport

LEAST_RATIO = 0.99  # least ratio of expected to observed events without a warning; the largest is 2 - LEAST_RATIO


def fit(
    process: PointProcess,
    train: EventBatch,
    dev: EventBatch | None = None,
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
    """Fit `process` to `train` by maximum likelihood, in place, and leave it in eval mode.

    A process that was fitted before continues from its parameters. All events have the same weight, whichever sequence they
    belong to.

    - MambaHawkesProcess: Adam takes steps over random pieces of the sequences, with a warm-up and a cosine schedule. The
      weights are averaged over the last steps, and those that score best on `dev` are kept. The fit stops after `patience`
      passes without a better score on `dev`. m3tr starts at the classical process fitted to `train`, which it contains,
      and keeps that start if nothing scores better on `dev`.
    - NeuralHawkesProcess: the same, from random weights.
    - PoissonProcess: L-BFGS for the prior. Of the arguments below it uses only window and progress.
    - ExponentialHawkes: Fisher scoring from several starts. The decay rates stay within the range that the data can
      resolve. Of the arguments below it uses only penalty, strength, window, max_branching, max_seconds and progress.

    Args:
        process: The process to fit; it is changed in place.
        train: The sequences to fit.
        dev: The sequences that decide which weights are kept and when the fit stops. ExponentialHawkes and PoissonProcess
            only report their score. By default these two report that of `train`, and a neural process holds out a random
            tenth of `train` by `seed`; pass your own if sequences resemble each other, such as those of one user.
        penalty: None (default), "mcp" or "scad": a penalty of the branching matrix, subtracted from the log-likelihood per
            sequence.
        strength: The penalty's gamma. ExponentialHawkes selects it by BIC if it is None; a MambaHawkesProcess with a
            penalty needs a number.
        window: "observation" (default) or "events"; see `PointProcess.log_likelihood`.
        epochs: Largest number of passes over the training set.
        batch_size: Largest number of sequences per step. Sequences of more than 512 events are cut into pieces, which
            count as sequences. A step holds about 4,096 events at most, so that long sequences make more steps.
        learning_rate: Adam's largest step size.
        weight_decay: Weight decay of the network's matrices.
        patience: Passes without a better score on `dev` before the fit stops.
        averaging: How much of the average weights each step keeps; 0 turns averaging off.
        max_branching: Largest branching ratio. None means no bound; a process at 1 or above cannot be simulated.
        max_seconds: Time limit. The learning rate's schedule is fitted to it, and the classical start takes at most a
            quarter of it. Without it, the same seed, machine and thread count give the same process.
        seed: Seed of the network's weights, the order of the pieces, and dropout.
        progress: Called with each `Epoch`.

    Returns:
        The curve of the fit and its results. `events_ratio` is the expected number of events per event of the training
        set; 1 is right.

    Raises:
        ArithmeticError: If no epoch of a MambaHawkesProcess gives a finite log-likelihood on `dev`.
        EventError: For a type that the process does not know.
        ValueError: For an unknown penalty or window, a number out of range, a set in which the window leaves no event to
            predict, a training set in whose windows no time passes, because its likelihood has no maximum, and a neural
            process without `dev` if `train` has fewer than two sequences with events.

    Warns:
        UserWarning: If the ratio of expected to observed events is outside 0.99 to 1.01.

    Example:
        >>> import torch
        >>> from models.events import EventBatch
        >>> from models.hawkes import ExponentialHawkes, fit
        >>> from models.thinning import simulate
        >>> empty = EventBatch.from_sequences([[]] * 60, [[]] * 60, t_end=[0.0] * 60)
        >>> data = simulate(ExponentialHawkes(2), empty, until=20.0, seeds=range(60))
        >>> process = ExponentialHawkes(2)
        >>> report = fit(process, data[:50], data[50:])
        >>> round(report.events_ratio, 2)
        1.0
        >>> process.branching_ratio() < 0.95
        True
    """
    classical = isinstance(process, (ExponentialHawkes, PoissonProcess))
    if dev is None:
        train, dev = (train, train) if classical else hold_out(train, window=window, seed=seed)
    for name, part in (("train", train), ("dev", dev)):
        part.check_types(process.num_types)
        if not bool(counted_events(part, window).any()):
            reason = f" to predict: window {window!r} leaves out each sequence's first" if part.num_events else ""
            raise ValueError(f"the {name} set holds no event{reason}")
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
    elif isinstance(process, PoissonProcess):
        if penalty is not None:
            raise ValueError("a Poisson process has no influence matrix to penalise; use penalty=None")
        report = fit_poisson(process, train, dev, window=window, progress=progress)
        report.events_ratio = _events_ratio(process, train, window)
    else:
        if penalty is not None and (strength is None or process.excitation is None):
            raise ValueError(
                "a penalty needs a strength for a MambaHawkesProcess; only ExponentialHawkes can select one by BIC"
                if strength is None
                else "this process has no influence matrix to penalise; use penalty=None"
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
            "The fit has not converged (use more epochs), or a bound such as max_branching is active",
            stacklevel=2,
        )
    return report


@torch.no_grad()
def _events_ratio(process: PointProcess, events: EventBatch, window: str) -> float:
    """Return the expected events per observed event."""
    expected = sum(
        float(process.log_likelihood_parts(batch, window=window)[1].sum()) for batch in batches_of(events, MOST_EVENTS)
    )
    return expected / int(counted_events(events, window).sum())


def evaluate(process: PointProcess, events: EventBatch, *, window: str = "observation") -> float:
    """Return the log-likelihood per event of a whole set, to the process's quadrature tolerance.

    Args:
        process: The process; it is put in eval mode.
        events: The sequences to score.
        window: "observation" or "events"; see `PointProcess.log_likelihood`.

    Returns:
        Nats per event, summed in float64.
    """
    process.eval()
    if isinstance(process, (ExponentialHawkes, PoissonProcess)):
        return score_of(process, events, window)
    return totals(process, Pieces(process, events, window)).per_event
