"""Time scales and rates of the data, from which a fit starts; times are relative to the start of each window."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.history import counted_events, on_window_clock, window_bounds

INDISTINCT = 4.0  # a kernel that falls by e^-4 within the shortest gaps cannot be told from none


def has_sources(events: EventBatch, num_types: int, window: str) -> Tensor:
    """Return which types have an event before the end of its window, (k,) bool.

    The likelihood has no information about the influence of the other types, so a fit must set it to 0.
    """
    _, end = window_bounds(events, window)
    return torch.bincount(events.types[events.mask & (events.times < end[:, None])], minlength=num_types) > 0


def mean_gap(events: EventBatch, window: str = "observation") -> float:
    """Return the time per event inside the window; 1 if no time passes."""
    duration = float(_durations(events, window).sum())
    return duration / max(int(counted_events(events, window).sum()), 1) if duration > 0 else 1.0


def type_rates(events: EventBatch, num_types: int, window: str = "observation") -> Tensor:
    """Return the events of each type per unit of time in the window, (k,); a type without events counts as half an event."""
    counts = torch.bincount(events.types[counted_events(events, window)], minlength=num_types).double()
    return counts.clamp_min(0.5) / max(float(_durations(events, window).sum()), 1e-12)


def decay_grid(events: EventBatch, decays: int, window: str = "observation") -> Tensor:
    """Return decay rates (r,) per unit of time, log-spaced over the time scales of the data, fastest first."""
    gaps = _positive_gaps(events, window)
    if len(gaps) == 0:
        return torch.ones(decays, dtype=torch.float64)
    typical = float(gaps.median())
    if decays == 1:
        return torch.tensor([1.0 / typical], dtype=torch.float64)
    longest = max(float(_durations(events, window).quantile(0.9)) / 2, 2 * typical)
    shortest = min(float(gaps.quantile(0.01)), typical / 2)
    return torch.linspace(math.log(1 / shortest), math.log(1 / longest), decays, dtype=torch.float64).exp()


def rate_bounds(events: EventBatch, window: str) -> tuple[float, float]:
    """Return the slowest and the fastest decay rate that the data can resolve.

    A kernel slower than the longest window looks like a higher baseline, whatever its integral. A kernel that decays within
    the shortest gaps has no effect on any event.
    """
    gaps = _positive_gaps(events, window)
    if len(gaps) == 0:
        return 1.0, 1.0
    return 1 / float(_durations(events, window).max()), INDISTINCT / float(gaps.quantile(0.001))


def longest_window(events: EventBatch, window: str) -> float:
    """Return the length of the longest window."""
    return float(_durations(events, window).max())


def _durations(events: EventBatch, window: str) -> Tensor:
    start, end = window_bounds(events, window)
    return end - start


def _positive_gaps(events: EventBatch, window: str) -> Tensor:
    """Return the gaps before the events in the window, without gaps of 0."""
    events = on_window_clock(events, window)
    gaps = events.gaps[counted_events(events, window)]
    gaps = gaps[gaps > 0]
    # torch.quantile accepts at most 16 million numbers
    return gaps[:: 1 + len(gaps) // 10_000_000]
