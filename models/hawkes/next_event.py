"""The distribution of the next event, given the history: which type, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.compensator import legendre
from models.hawkes.process import Levels, PointProcess

PANELS, NODES = 128, 4
# First panel, first look and how much further the next ones; in 1 / intensity where they begin.
FIRST, HORIZON, STRIDE = 0.006, 60.0, 8.0
STEEP = 4.0  # a panel over which the intensity grows by more is not the first that is looked at closely
QUIET = 0.1  # events that may be expected before the panels begin
REFINEMENTS = 4  # of the median within its panel, by Newton's method
CERTAIN = 14.0  # compensator by which the next event has come but for one case in a million
NOTHING, FURTHEST = 1e-9, 1e15  # where there is nothing more to expect
CHUNK = 1024  # histories at a time
LN2 = 0.6931471805599453


@dataclass(frozen=True)
class NextEvent:
    """After each event (position p: after p events), (b, l + 1, ...) float64.

    type_probability (b, l + 1, k)  which type comes next, whenever it comes
    median_gap       (b, l + 1)     the time until it, as likely to be shorter as longer: the least-absolute-error guess
    """

    type_probability: Tensor
    median_gap: Tensor


@torch.no_grad()
def next_event(process: PointProcess, batch: EventBatch) -> NextEvent:
    """Integrate over the time of the next event: P(type k) = integral of lambda_k(t) exp(-Lambda(t)) dt.

    On panels that grow geometrically, four Gauss nodes each, as far as the next event takes; where an intensity rises they
    begin once it is more than next to nothing. Where the event may never come
    the probabilities are those of the event that might, and the median is infinite if it is more likely not to.
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
    """Type probabilities (g, k) and median gap (g,) of g histories."""
    begin, first = _beginning(process, levels)
    zero = torch.zeros_like(begin)
    quiet = torch.zeros(len(zero), 1, process.num_types, dtype=torch.float64)
    if process.rising:
        quiet[:, 0] = process.integral(levels, begin[:, 0]).double()
    points, weights = legendre(NODES, zero)
    # The first panel is a small part of the time scale where it begins; the others grow from there to the horizon.
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
        ahead = rates[:, -1, -1].sum(-1) * edges[:, -1]  # what would come if the rate stayed for as long again
        further = (total[:, -1] < CERTAIN) & (ahead > NOTHING) & (reach[:, 0] < FURTHEST)
        if not bool(further.any()):
            break
        reach = torch.where(further[:, None], STRIDE * reach, reach)
    survival = torch.exp(-torch.cat([zero, total], dim=1))
    came = survival[:, :-1] - survival[:, 1:]
    probability = (came[..., None] * by_type / passed.clamp_min(1e-300)[..., None]).sum(1)
    probability = probability / probability.sum(-1, keepdim=True).clamp_min(1e-300)

    half = torch.searchsorted(total, torch.full_like(zero, LN2))  # of the panels with the quiet stretch before them
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
    """(g, 1) each: until when hardly anything comes, 0 where no intensity rises, and how long a first panel to take there."""

    def look(at: Tensor) -> tuple[Tensor, Tensor]:
        """The intensity (g, 1), and each type's logarithm (g, k), which tells also where it underflows whether it grows."""
        logs = process.log_rate(levels, at)[:, 0].double()
        return logs.exp().sum(-1, keepdim=True), logs

    begin = torch.zeros(len(levels.base), 1, dtype=torch.float64)
    expected = torch.zeros_like(begin)  # at most, until `begin`
    rate, logs = look(begin)
    first = FIRST / rate.clamp_min(1e-12)
    while process.rising:
        highest, grown = look(begin + first)
        # every type's intensity is monotone, so both ends together are above all between them
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
