"""The distribution of the next event, given the history: which type, and when."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.compensator import legendre
from models.hawkes.process import Levels, PointProcess

PANELS, NODES = 96, 4
HORIZON = 60.0  # first guess of how far to look, in units of 1 / intensity just after the event
CERTAIN = 14.0  # compensator by which the next event has come but for one case in a million
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
    edges = torch.cat([zero[0], torch.logspace(-4, 0, PANELS, dtype=torch.float64)])
    points, weights = legendre(NODES, edges)
    inside = edges[:-1, None] + edges.diff()[:, None] * points  # (panels, nodes)
    share = edges.diff()[:, None] * weights
    horizon = HORIZON / process.rate(levels, zero)[:, 0].double().sum(-1).clamp_min(1e-12)
    seen = zero[:, 0]
    while True:
        rates = process.rate(levels, horizon[:, None] * inside.flatten()).double().unflatten(1, inside.shape)
        by_type = (rates * share[..., None]).sum(2) * horizon[:, None, None]  # compensator (g, panels, k)
        passed = by_type.sum(-1)
        total = passed.cumsum(1)
        longer = (total[:, -1] < CERTAIN) & (total[:, -1] > 1.01 * seen)
        if not bool(longer.any()):
            break
        seen, horizon = torch.where(longer, total[:, -1], seen), torch.where(longer, 2 * horizon, horizon)
    survival = torch.exp(-torch.cat([zero, total], dim=1))
    came = survival[:, :-1] - survival[:, 1:]
    probability = (came[..., None] * by_type / passed.clamp_min(1e-300)[..., None]).sum(1)
    probability = probability / probability.sum(-1, keepdim=True).clamp_min(1e-300)

    half = torch.searchsorted(total, torch.full_like(zero, LN2))
    never = half.squeeze(1) == PANELS
    half = half.clamp_max(PANELS - 1)
    before = torch.where(half > 0, total.gather(1, (half - 1).clamp_min(0)), 0.0)
    within = ((LN2 - before) / passed.gather(1, half)).squeeze(1)
    half = half.squeeze(1)
    median = horizon * (edges[half] + within * (edges[half + 1] - edges[half]))
    return probability, torch.where(never, torch.inf, median)
