"""The distribution of the next event, given the history: which type, and when."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.compensator import legendre
from models.hawkes.process import Levels, PointProcess

PANELS, NODES = 128, 4
FIRST, HORIZON, STRIDE = (
    0.006,
    60.0,
    8.0,
)  # first panel, first look and how much further the next ones; in 1 / intensity at 0
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

    On panels that grow geometrically, four Gauss nodes each, as far as the next event takes. Where it may never come
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
    zero = torch.zeros(len(levels.base), 1, dtype=torch.float64)
    points, weights = legendre(NODES, zero)
    # The first panel is a small part of the time scale just after the event; the others grow from there to the horizon.
    first = FIRST / process.rate(levels, zero)[:, 0].double().sum(-1, keepdim=True).clamp_min(1e-12)
    reach = torch.full_like(zero, HORIZON / FIRST)
    growth = torch.linspace(0, 1, PANELS, dtype=torch.float64)
    while True:
        edges = torch.cat([zero, first * reach**growth], dim=1)  # (g, panels + 1)
        inside = edges[:, :-1, None] + edges.diff()[..., None] * points  # (g, panels, nodes)
        rates = process.rate(levels, inside.flatten(1)).double().unflatten(1, inside.shape[1:])
        by_type = torch.einsum("gpnk,n,gp->gpk", rates, weights, edges.diff())  # compensator
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

    half = torch.searchsorted(total, torch.full_like(zero, LN2))
    never = half.squeeze(1) == PANELS
    half = half.clamp_max(PANELS - 1)
    before = torch.where(half > 0, total.gather(1, (half - 1).clamp_min(0)), 0.0)
    within = (LN2 - before) / passed.gather(1, half)
    begin, end = (edges.gather(1, half + step) for step in (0, 1))
    median = (begin + within * (end - begin)).squeeze(1)
    return probability, torch.where(never, torch.inf, median)
