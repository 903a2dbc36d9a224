"""Where events and gaps lie in a batch: position p of a sequence is the state of its history after p events.

Position 0 is the empty history at t_start, position p the history just after event p, valid until the next event. An
intensity at time t reads the position that counts the events strictly before t: no event sees itself or its ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch

WINDOWS = ("observation", "events")


@dataclass(frozen=True)
class Gaps:
    """The stretches between events, one a position: [start, end), (b, l + 1) each, `real` where the position exists."""

    start: Tensor
    end: Tensor
    real: Tensor


def gaps_of(batch: EventBatch) -> Gaps:
    """Gap p runs from event p (t_start for p = 0) to event p + 1 (t_end after the last)."""
    start = torch.cat([batch.t_start[:, None], batch.times], dim=1)  # the padding holds t_end
    end = torch.cat([batch.times, batch.t_end[:, None]], dim=1)
    real = torch.arange(start.shape[1], device=start.device) <= batch.lengths[:, None]
    return Gaps(start, end, real)


def position_before(batch: EventBatch, at: Tensor) -> Tensor:
    """(b, q) int64: how many events of the sequence lie strictly before `at` (b, q)."""
    count = torch.searchsorted(batch.times.contiguous(), at.contiguous(), right=False)
    return torch.minimum(count, batch.lengths[:, None])


def first_counted(window: str) -> int:
    """The number of the first event whose intensity the likelihood multiplies; ValueError for an unknown window."""
    if window not in WINDOWS:
        raise ValueError(f"window {window!r}; allowed: {', '.join(WINDOWS)}")
    return 1 if window == "events" else 0  # there the first is given, not predicted


def counted_events(batch: EventBatch, window: str) -> Tensor:
    """(b, l) bool: the events whose intensities the likelihood multiplies; ValueError for an unknown window."""
    counted = batch.mask
    counted[:, : first_counted(window)] = False
    return counted


def on_window_clock(batch: EventBatch, window: str) -> EventBatch:
    """The batch as a likelihood over `window` sees it: with "events" the clock starts at the first event."""
    return batch.from_first_event() if window == "events" else batch


def window_bounds(batch: EventBatch, window: str) -> tuple[Tensor, Tensor]:
    """(b,) each: where the likelihood's integral begins and ends; equal where nothing lies between them."""
    if window == "observation":
        return batch.t_start, batch.t_end
    if batch.times.shape[1] == 0:
        return batch.t_start, batch.t_start
    last = batch.times.gather(1, (batch.lengths - 1).clamp_min(0)[:, None]).squeeze(1)
    some = batch.lengths > 0
    return torch.where(some, batch.times[:, 0], batch.t_start), torch.where(some, last, batch.t_start)
