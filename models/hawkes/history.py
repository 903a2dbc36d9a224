"""Where events and gaps lie in a batch: position p of a sequence is the state of its history after p events.

Position 0 is the empty history at t = 0, position p the history just after event p, valid until the next event. An
intensity at time t reads the position that counts the events strictly before t: no event sees itself or its ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch


@dataclass(frozen=True)
class Gaps:
    """The stretches between events, one a position: [start, end), (b, l + 1) each, `real` where the position exists."""

    start: Tensor
    end: Tensor
    real: Tensor


def gaps_of(batch: EventBatch) -> Gaps:
    """Gap p runs from event p (0 for p = 0) to event p + 1 (t_end after the last)."""
    zero = batch.times.new_zeros(len(batch), 1)
    start = torch.cat([zero, batch.times], dim=1)  # the padding holds t_end
    end = torch.cat([batch.times, batch.t_end[:, None]], dim=1)
    real = torch.arange(start.shape[1], device=start.device) <= batch.lengths[:, None]
    return Gaps(start, end, real)


def position_before(batch: EventBatch, at: Tensor) -> Tensor:
    """(b, q) int64: how many events of the sequence lie strictly before `at` (b, q)."""
    count = torch.searchsorted(batch.times.contiguous(), at.contiguous(), right=False)
    return torch.minimum(count, batch.lengths[:, None])
