"""The distribution of the next event's type and time, given the history."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.compensator import legendre
from models.hawkes.process import Levels, PointProcess

PANELS, NODES = 128, 4  # panels of the integral, and Gauss nodes per panel
# Length of the first panel and end of the last one, in units of 1 / intensity at the panels' begin; and the factor by which
# the end is extended while the next event may come later.
FIRST, HORIZON, STRIDE = 0.006, 60.0, 8.0
STEEP = 4.0  # largest growth of the intensity over the first panel
QUIET = 0.1  # largest expected number of events before the first panel
REFINEMENTS = 4  # Newton steps for the median within its panel
CERTAIN = 14.0  # compensator at which the next event has come with probability 1 - 1e-6
# The end is not extended if fewer events than NOTHING are expected, or beyond FURTHEST times the first panel.
NOTHING, FURTHEST = 1e-9, 1e15
CHUNK = 1024  # histories per batch
LN2 = 0.6931471805599453


@dataclass(frozen=True)
class NextEvent:
    """The distribution of the next event after each event; position p is the history of p events.

    Attributes:
        type_probability: (b, l + 1, k) float64, probability of each type, at whatever time the next event comes.
        median_gap: (b, l + 1) float64, median time until the next event, in the unit of the event times. It minimises the
            expected absolute error.
    """

    type_probability: Tensor
    median_gap: Tensor


@torch.no_grad()
def next_event(process: PointProcess, batch: EventBatch) -> NextEvent:
    """Return the distribution of the next event's type and time at every position.

    P(type k) is the integral of lambda_k(t) exp(-Lambda(t)) dt over the time of the next event. The integral is taken on 128
    panels that grow geometrically, with four Gauss nodes each. Its end is extended until the next event has almost certainly
    come. If an intensity rises between events, the panels begin where it is no longer negligible.

    If it is possible that no further event comes, the probabilities are conditional on an event. The median is infinite if
    an event comes with a probability below one half.

    Args:
        process: The process; it is put in eval mode.
        batch: b sequences, padded to l events. For a process that was fitted with `window="events"`, pass
            `batch.from_first_event()`.

    Returns:
        Type probabilities (b, l + 1, k) and median gaps (b, l + 1), float64. Positions in the padding have no meaning.

    Raises:
        EventError: If the batch holds a type that the process does not know.

    Example:
        >>> from models.events import EventBatch
        >>> from models.hawkes import ExponentialHawkes, next_event
        >>> batch = EventBatch.from_sequences([[1.0, 2.5]], [[0, 1]])
        >>> ahead = next_event(ExponentialHawkes(2), batch)
        >>> ahead.type_probability.shape, ahead.median_gap.shape
        (torch.Size([1, 3, 2]), torch.Size([1, 3]))
        >>> ahead.type_probability[0, 0].tolist()  # before the first event both types have the same intensity
        [0.5, 0.5]
    """
    process.eval()
    batch.check_types(process.num_types)
    levels = process.encode(batch)
    b, positions, k = levels.base.shape
    flat = Levels(levels.base.flatten(0, 1), levels.amplitude.flatten(0, 1))
    parts = [_look_ahead(process, flat.at(rows)) for rows in torch.arange(b * positions).split(CHUNK)]
    probability, median = (torch.cat(column) for column in zip(*parts))
    return NextEvent(probability.view(b, positions, k), median.view(b, positions))


def _look_ahead(process: PointProcess, levels: Levels) -> tuple[Tensor, Tensor]:
    """Return the type probabilities (g, k) and the median gaps (g,) of g histories."""
    begin, first = _beginning(process, levels)
    zero = torch.zeros_like(begin)
    quiet = torch.zeros(len(zero), 1, process.num_types, dtype=torch.float64)
    if process.rising:
        quiet[:, 0] = process.integral(levels, begin[:, 0]).double()
    points, weights = legendre(NODES, zero)
    # The first panel is short beside the time scale at its begin; the others grow from there to the horizon.
    reach = torch.full_like(zero, HORIZON / FIRST)
    growth = torch.linspace(0, 1, PANELS, dtype=torch.float64)
    while True:
        edges = begin + torch.cat([zero, first * reach**growth], dim=1)  # (g, panels + 1)
        inside = edges[:, :-1, None] + edges.diff()[..., None] * points  # (g, panels, nodes)
        rates = process.rate(levels, inside.flatten(1)).double().unflatten(1, inside.shape[1:])
        by_type = torch.einsum("gpnk,n,gp->gpk", rates, weights, edges.diff())  # compensator
        by_type = torch.cat([quiet, by_type], dim=1)
        passed = by_type.sum(-1)
        total = passed.cumsum(1)
        ahead = rates[:, -1, -1].sum(-1) * edges[:, -1]  # expected events in as much time again at the last rate
        further = (total[:, -1] < CERTAIN) & (ahead > NOTHING) & (reach[:, 0] < FURTHEST)
        if not bool(further.any()):
            break
        reach = torch.where(further[:, None], STRIDE * reach, reach)
    survival = torch.exp(-torch.cat([zero, total], dim=1))
    came = survival[:, :-1] - survival[:, 1:]
    probability = (came[..., None] * by_type / passed.clamp_min(1e-300)[..., None]).sum(1)
    probability = probability / probability.sum(-1, keepdim=True).clamp_min(1e-300)

    half = torch.searchsorted(
        total, torch.full_like(zero, LN2)
    )  # index into the panels, with the quiet stretch as number 0
    never = half.squeeze(1) > PANELS
    half = half.clamp(1, PANELS)
    before = total.gather(1, half - 1)
    low, high = (edges.gather(1, half + step) for step in (-1, 0))
    median = low + (LN2 - before) / passed.gather(1, half) * (high - low)
    for _ in range(REFINEMENTS):
        at = torch.cat([low + (median - low) * points, median], dim=1)
        rates = process.rate(levels, at).double().sum(-1)
        here = before + (rates[:, :-1] @ weights)[:, None] * (median - low)
        median = torch.clamp(median + (LN2 - here) / rates[:, -1:], low, high)
    return probability, torch.where(never, torch.inf, median.squeeze(1))


def _beginning(process: PointProcess, levels: Levels) -> tuple[Tensor, Tensor]:
    """Return where the panels begin and the length of the first one, (g, 1) each.

    The panels begin at 0 unless an intensity rises from a negligible value.
    """

    def look(at: Tensor) -> tuple[Tensor, Tensor]:
        """Return the total intensity (g, 1) and each type's log-intensity (g, k).

        The logarithm shows growth also where the intensity itself underflows.
        """
        logs = process.log_rate(levels, at)[:, 0].double()
        return logs.exp().sum(-1, keepdim=True), logs

    begin = torch.zeros(len(levels.base), 1, dtype=torch.float64)
    expected = torch.zeros_like(begin)  # upper bound on the expected events until `begin`
    rate, logs = look(begin)
    first = FIRST / rate.clamp_min(1e-12)
    while process.rising:
        highest, grown = look(begin + first)
        # every type's intensity is monotone, so the sum of both ends is an upper bound in between
        ahead = (rate + highest) * first
        crowded = ahead > STEEP * FIRST
        risen = (grown > logs + math.log(STEEP)).any(-1, keepdim=True) & ~crowded & (expected < QUIET)
        if not bool((crowded | risen).any()):
            break
        begin = torch.where(risen, begin + first, begin)
        expected = torch.where(risen, expected + ahead, expected)
        rate, logs = torch.where(risen, highest, rate), torch.where(risen, grown, logs)
        first = torch.where(risen, FIRST / rate.clamp_min(1e-12), torch.where(crowded, first / 4, first))
    return begin, first
