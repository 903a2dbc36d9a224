"""Plots of a process: a Q-Q plot of its fit, and its intensity along a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes import PointProcess

if TYPE_CHECKING:
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

    if not 0 <= row < len(batch):
        raise ValueError(f"row {row} of a batch of {len(batch)} sequences does not exist; rows count from 0")
    kinds = range(process.num_types) if types is None else types
    if unknown := [kind for kind in kinds if not 0 <= kind < process.num_types]:
        raise ValueError(f"type {unknown[0]}; the process knows the types 0 to {process.num_types - 1}")
    one, length = batch[[row]], int(batch.lengths[row])
    times = one.times[0, :length]
    # The intensity has its extremes just after events, which a grid alone would miss.
    after = times.nextafter(times.new_tensor(torch.inf)).clamp_max(float(one.t_end[0]))
    at = (
        torch.cat(
            [torch.linspace(float(one.t_start[0]), float(one.t_end[0]), points, dtype=torch.float64), times, after]
        )
        .sort()
        .values
    )
    rates = process.eval().intensity(one, at[None])[0]
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    for place, kind in enumerate(kinds):
        label, colour = str(kind) if names is None else names[kind], f"C{place % 10}"
        above.plot(at, rates[:, kind].cpu(), label=label, color=colour, linewidth=1)
        below.eventplot(times[one.types[0, :length] == kind], lineoffsets=-place, linelengths=0.8, colors=colour)
    above.set_ylabel("events per unit of time")
    above.set_ylim(bottom=0)
    above.legend(fontsize="small")
    below.set_yticks([])
    below.set_xlabel("time")
    return figure
