"""Positions, gaps and windows of the sequences in a batch.

Position p of a sequence is its history after p events: position 0 is the empty history at t_start, and position p holds
from event p until the next event. An intensity at time t uses the position that counts the events strictly before t, so no
event sees itself or the events tied with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.events import EventBatch

WINDOWS = ("observation", "events")


@dataclass(frozen=True)
class Gaps:
    """The gaps between events, one per position.

    Attributes:
        start: (b, l + 1) float64, start of each gap.
        end: (b, l + 1) float64, end of each gap.
        real: (b, l + 1) bool, False for positions in the padding.
    """

    start: Tensor
    end: Tensor
    real: Tensor


def gaps_of(batch: EventBatch) -> Gaps:
    """Return the gaps of a batch.

    Gap p runs from event p (t_start for p = 0) to event p + 1 (t_end for the last gap).
    """
    start = torch.cat([batch.t_start[:, None], batch.times], dim=1)  # the padding of `times` is t_end
    end = torch.cat([batch.times, batch.t_end[:, None]], dim=1)
    real = torch.arange(start.shape[1], device=start.device) <= batch.lengths[:, None]
    return Gaps(start, end, real)


def position_before(batch: EventBatch, at: Tensor) -> Tensor:
    """Return how many events of each sequence lie strictly before the times `at` (b, q), as (b, q) int64."""
    count = torch.searchsorted(batch.times.contiguous(), at.contiguous(), right=False)
    return torch.minimum(count, batch.lengths[:, None])


def first_counted(window: str) -> int:
    """Return the number of the first event that the likelihood scores.

    Args:
        window: "observation" or "events".

    Returns:
        0, or 1 for "events".

    Raises:
        ValueError: If the window is unknown.
    """
    if window not in WINDOWS:
        raise ValueError(f"window {window!r}; allowed: {', '.join(WINDOWS)}")
    return 1 if window == "events" else 0  # "events" is conditional on the first event


def counted_events(batch: EventBatch, window: str) -> Tensor:
    """Return which events the likelihood scores, (b, l) bool; raise ValueError for an unknown window."""
    counted = batch.mask
    counted[:, : first_counted(window)] = False
    return counted


def on_window_clock(batch: EventBatch, window: str) -> EventBatch:
    """Return the batch on the clock of `window`: with "events" the clock starts at the first event."""
    return batch.from_first_event() if window == "events" else batch


def window_bounds(batch: EventBatch, window: str) -> tuple[Tensor, Tensor]:
    """Return where the likelihood's integral begins and ends, (b,) each; they are equal for an empty window."""
    if window == "observation":
        return batch.t_start, batch.t_end
    if batch.times.shape[1] == 0:
        return batch.t_start, batch.t_start
    last = batch.times.gather(1, (batch.lengths - 1).clamp_min(0)[:, None]).squeeze(1)
    some = batch.lengths > 0
    return torch.where(some, batch.times[:, 0], batch.t_start), torch.where(some, last, batch.t_start)
