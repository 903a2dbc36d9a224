"""Plots of a process: a Q-Q plot, an intensity along a sequence, its terms, and a forecast with a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes import MambaHawkesProcess, PointProcess
from models.hawkes.link import soft_link
from models.reasons.intensity_terms import intensity_terms
from models.simulated_counts import simulate_counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_qq(theory: Tensor | Sequence[float], sample: Tensor | Sequence[float], *, title: str = "") -> Figure:
    """Draw a Q-Q plot of residuals against the unit exponential distribution.

    Points on the diagonal mean that the process fits. Points above it at the right end mean that long waits are longer than
    the process expects.

    Args:
        theory: (n,) quantiles of the unit exponential distribution, from `TimeRescaling.qq`.
        sample: (n,) quantiles of the residuals.
        title: Title of the plot.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    theory, sample = np.asarray(theory), np.asarray(sample)
    top = 1.05 * max(float(theory.max()), float(sample.max()))
    axes.plot([0, top], [0, top], color="0.6", linewidth=1)
    axes.plot(theory, sample, ".", markersize=4)
    axes.set(xlim=(0, top), ylim=(0, top), aspect="equal", title=title)
    axes.set_xlabel("unit exponential")
    axes.set_ylabel("rescaled time between events")
    return figure


@torch.no_grad()
def draw_intensity(
    process: PointProcess,
    batch: EventBatch,
    *,
    row: int = 0,
    types: Sequence[int] | None = None,
    names: Sequence[str] | None = None,
    points: int = 1000,
) -> Figure:
    """Draw the intensity along one sequence, with its events as ticks below.

    Args:
        process: The process; it is set to evaluation mode.
        batch: The sequences.
        row: The sequence to draw.
        types: Types to draw; None draws all.
        names: (k,) names of all types; None uses their numbers.
        points: Points of the time grid. The times of the events are added.

    Returns:
        The figure.

    Raises:
        ValueError: The row or a type does not exist.
    """
    from matplotlib.figure import Figure

    kinds = range(process.num_types) if types is None else types
    _check(process, batch, row, kinds)
    one, at = _grid(batch, row, points)
    rates = process.eval().intensity(one, at[None])[0]
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    for kind in kinds:
        label = str(kind) if names is None else names[kind]
        above.plot(at, rates[:, kind].cpu(), label=label, color=f"C{kind % 10}", linewidth=1)
    above.set_ylabel("events per unit of time")
    above.set_ylim(bottom=0)
    above.legend(fontsize="small")
    _draw_events(below, one, kinds, names)
    return figure


@torch.no_grad()
def draw_terms(
    process: MambaHawkesProcess,
    batch: EventBatch,
    kind: int,
    *,
    row: int = 0,
    names: Sequence[str] | None = None,
    points: int = 1000,
) -> Figure:
    """Draw one type's intensity along a sequence with the terms that it is made of (M3TR figure 8).

    Above, the dashed line is the intensity without the network's term, that is, of the classical part alone. The area is the
    network's term f_k(h): red where it lowers the intensity, green where it raises it. The middle shows all terms inside the
    link, which sum to its argument: the baseline, the excitation by the past events of each type, and the network's term.
    Everything is per unit of time. Below are the events.

    Args:
        process: The process; it is set to evaluation mode.
        batch: The sequences.
        kind: The type whose intensity is drawn.
        row: The sequence to draw.
        names: (k,) names of all types; None uses their numbers.
        points: Points of the time grid. The times of the events are added.

    Returns:
        The figure.

    Raises:
        ValueError: The row or the type does not exist.
    """
    from matplotlib.figure import Figure

    _check(process, batch, row, [kind])
    one, at = _grid(batch, row, points)
    terms = intensity_terms(process.eval(), one, at[None])
    known = [str(number) for number in range(process.num_types)] if names is None else list(names)
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[4, 3, 1])
    above.plot(at, terms.intensity[0, :, kind].cpu(), label=f"intensity of {known[kind]}", linewidth=1.2)
    classical = soft_link((terms.argument - terms.neural)[0, :, kind], terms.softness[kind]) / terms.time_scale
    above.plot(at, classical.cpu(), "--", color="C2", label="classical part alone", linewidth=1)
    term = (terms.neural[0, :, kind] / terms.time_scale).cpu()
    for colour, part in (("C3", term.clamp_max(0)), ("C2", term.clamp_min(0))):
        above.fill_between(at, part, color=colour, alpha=0.3, linewidth=0)
    above.plot([], [], color="C3", alpha=0.3, linewidth=6, label="network's term, where negative")
    _draw_stacked(middle, at, terms.stacked[0, :, kind].cpu(), known)
    for axes in (above, middle):
        axes.axhline(0, color="0.6", linewidth=0.6)
        axes.legend(fontsize="small", loc="upper right")
    above.set_ylabel("events per unit of time")
    middle.set_ylabel("terms inside the link")
    _draw_events(below, one, range(process.num_types), names)
    return figure


def draw_forecast(
    process: PointProcess,
    batch: EventBatch,
    until: float,
    *,
    row: int = 0,
    types: Sequence[int] | None = None,
    level: float = 0.8,
    continuations: int = 500,
    seed: int = 0,
    points: int = 60,
    later: EventBatch | None = None,
) -> Figure:
    """Draw the count of one sequence so far, and the median and a band of its simulated continuations.

    Args:
        process: The process; it must be stable, or continuations stop at 10,000 events.
        batch: The observed sequences.
        until: Time of the end of the forecast, after the row's t_end.
        row: The sequence to draw.
        types: Types that are counted; None counts all.
        level: Share of the continuations within the band.
        continuations: Number of continuations. A band needs some hundreds.
        seed: Seed of the continuations.
        points: Points of the forecast.
        later: The same sequences, observed for longer, to compare with; None draws the forecast alone.

    Returns:
        The figure.

    Raises:
        ValueError: The row or a type does not exist, `until` is not after the row's t_end, or the level is outside (0, 1).
    """
    from matplotlib.figure import Figure

    kinds = range(process.num_types) if types is None else types
    _check(process, batch, row, kinds)
    end = float(batch.t_end[row])
    if not until > end:
        raise ValueError(f"until must be after the end of the sequence's window, {end}; given {until}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1; given {level}")
    counted = torch.zeros(1, process.num_types, dtype=torch.bool)
    counted[0, list(kinds)] = True
    at = torch.linspace(end, until, points, dtype=torch.float64)
    simulated = simulate_counts(process, batch[[row]], at, counted=counted, continuations=continuations, seeds=[seed])
    observed = _times_of(batch, row, counted[0])
    totals = len(observed) + simulated.counts[0, :, :, 0]
    low, median, high = np.quantile(totals, [(1 - level) / 2, 0.5, (1 + level) / 2], axis=0)
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    axes = figure.add_subplot()
    start = float(batch.t_start[row])
    if later is not None:
        _draw_count(axes, _times_of(later, row, counted[0]), start, until, color="0.5", label="what happened")
    _draw_count(axes, observed, start, end, color="k", label="observed")
    axes.plot(at, median, color="C0", label="forecast, median")
    axes.fill_between(at, low, high, color="C0", alpha=0.25, linewidth=0, label=f"{level:.0%} of the continuations")
    axes.axvline(end, color="0.6", linewidth=0.8)
    axes.set(xlim=(start, until), ylim=(0, None), xlabel="time", ylabel="events so far")
    axes.legend(fontsize="small", loc="upper left")
    return figure


def _times_of(batch: EventBatch, row: int, counted: Tensor) -> np.ndarray:
    """Return the times of one sequence's events of the counted types (k,)."""
    length = int(batch.lengths[row])
    return batch.times[row, :length][counted[batch.types[row, :length]]].numpy()


def _draw_count(axes: Axes, times: np.ndarray, start: float, end: float, *, color: str, label: str) -> None:
    times = times[times <= end]
    at, reached = np.concatenate([[start], times, [end]]), np.r_[np.arange(len(times) + 1), len(times)]
    axes.step(at, reached, where="post", color=color, linewidth=1.2, label=label)


def _draw_stacked(axes: Axes, at: Tensor, terms: Tensor, names: Sequence[str]) -> None:
    """Draw terms (q, k + 2), positive ones stacked upwards and negative ones downwards, and their sum as a line."""
    labels = ["baseline", *(f"after {name}" for name in names), "network's term"]
    colours = ["0.7", *(f"C{place % 10}" for place in range(len(names))), "C3"]
    for sign in (1, -1):
        parts = (sign * terms).clamp_min(0).cumsum(-1) * sign
        low = torch.zeros_like(parts[:, 0])
        for place, label in enumerate(labels):
            label = label if sign == 1 else None
            axes.fill_between(at, low, parts[:, place], color=colours[place], alpha=0.5, linewidth=0, label=label)
            low = parts[:, place]
    axes.plot(at, terms.sum(-1), color="k", linewidth=0.8, label="sum")


def _check(process: PointProcess, batch: EventBatch, row: int, kinds: Sequence[int]) -> None:
    if not 0 <= row < len(batch):
        raise ValueError(f"row {row} of a batch of {len(batch)} sequences does not exist; rows count from 0")
    if unknown := [kind for kind in kinds if not 0 <= kind < process.num_types]:
        raise ValueError(f"type {unknown[0]}; the process knows the types 0 to {process.num_types - 1}")


def _grid(batch: EventBatch, row: int, points: int) -> tuple[EventBatch, Tensor]:
    """Return one sequence, and a grid of times (q,) with the sequence's events."""
    one, length = batch[[row]], int(batch.lengths[row])
    times = one.times[0, :length]
    # The intensity has its extremes just after events, which a grid alone would miss.
    after = times.nextafter(times.new_tensor(torch.inf)).clamp_max(float(one.t_end[0]))
    grid = torch.linspace(float(one.t_start[0]), float(one.t_end[0]), points, dtype=torch.float64)
    return one, torch.cat([grid, times, after]).sort().values


def _draw_events(axes: Axes, one: EventBatch, kinds: Sequence[int], names: Sequence[str] | None) -> None:
    """Draw the events of one sequence as ticks, one line per type."""
    length = int(one.lengths[0])
    times, types = one.times[0, :length], one.types[0, :length]
    for place, kind in enumerate(kinds):
        axes.eventplot(times[types == kind], lineoffsets=-place, linelengths=0.8, colors=f"C{kind % 10}")
    axes.set_yticks([-place for place in range(len(kinds))], [str(k) if names is None else names[k] for k in kinds])
    axes.set_xlabel("time")
