"""Numbers of new events until several times, in many simulated continuations of each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.process import PointProcess
from models.thinning import simulate

ROWS_AT_ONCE = 4096  # continuations that are simulated at once


@dataclass(frozen=True)
class SimulatedCounts:
    """Counts of new events in c continuations of b sequences.

    Attributes:
        counts: (b, c, H, T) int64, new events of each of T groups of types until each of H times.
        capped: (b, c) bool, whether the continuation stopped at `max_events`. Its counts at later times are too low.
    """

    counts: np.ndarray
    capped: np.ndarray


@torch.no_grad()
def simulate_counts(
    process: PointProcess,
    batch: EventBatch,
    until: Tensor,
    *,
    counted: Tensor,
    continuations: int,
    seeds: Sequence[int] | Tensor,
    counted_from: Tensor | None = None,
    history: str = "updated",
    max_events: int = 10_000,
) -> SimulatedCounts:
    """Count the events of simulated continuations until each of several times.

    A continuation starts at its row's t_end, conditional on the row's observed events, as in `models.thinning.simulate`. An
    unstable process is not an error here: a continuation stops at `max_events` new events.

    If a sequence holds only the first events of its window, its t_end is the time of the last of them. Pass the end of the
    window as `counted_from`. The simulated events between t_end and that time then stand for the events that the sequence
    lacks: they are part of the history of later events, and are not counted.

    Args:
        process: The process.
        batch: b observed sequences.
        until: (H,) or (b, H), ascending times. The count at a time that is not after `counted_from` is 0.
        counted: (T, k) bool, the event types of each group.
        continuations: Number c of continuations per sequence.
        seeds: (b,) one seed per sequence. Continuation number i of a sequence depends on the sequence, its seed and i alone.
        counted_from: (b,), time from which events are counted, at or after t_end; by default t_end.
        history: "updated" (default) or "frozen"; see `models.thinning.simulate`.
        max_events: Largest number of new events per continuation, counted or not.

    Returns:
        The counts, and which continuations stopped at `max_events`.

    Raises:
        SimulationError: An intensity is NaN or infinite.
        ValueError: An argument does not fit; the message states what is allowed.

    Example:
        >>> from models.hawkes import ExponentialHawkes
        >>> batch = EventBatch.from_sequences([[0.5, 1.0], [2.0]], [[0, 1], [0]], t_end=[3.0, 3.0])
        >>> both = torch.ones(1, 2, dtype=torch.bool)
        >>> until = torch.tensor([2.0, 9.0])
        >>> found = simulate_counts(ExponentialHawkes(2), batch, until, counted=both, continuations=5, seeds=[1, 2])
        >>> found.counts.shape, int(found.counts[:, :, 0].max())  # no row is counted before its t_end
        ((2, 5, 2, 1), 0)
    """
    until = torch.as_tensor(until, dtype=torch.float64).expand(len(batch), -1)
    start = batch.t_end if counted_from is None else torch.as_tensor(counted_from, dtype=torch.float64)
    numbers = torch.as_tensor(seeds).tolist() if isinstance(seeds, Tensor) else list(seeds)
    row = torch.arange(len(batch)).repeat_interleave(continuations)
    keys = [key for seed in numbers for key in np.random.SeedSequence(seed).generate_state(continuations, np.uint64)]
    end = torch.maximum(until[:, -1], batch.t_end)
    counts = np.zeros((len(row), until.shape[1], len(counted)), np.int64)
    capped = np.zeros(len(row), bool)
    for part in torch.arange(len(row)).split(ROWS_AT_ONCE):
        of = row[part]
        events = simulate(
            process, batch[of], until=end[of], length=batch.lengths[of] + max_events,
            seeds=[int(keys[place]) for place in part.tolist()], history=history, allow_unstable=True,
        )  # fmt: skip
        place = torch.arange(events.times.shape[1])
        new = (place >= batch.lengths[of, None]) & events.mask & (events.times > start[of, None])
        until_part = until[of].contiguous()
        for group, types in enumerate(counted):
            wanted = torch.where(new & types[events.types], events.times, torch.inf).sort(1).values
            counts[part, :, group] = torch.searchsorted(wanted, until_part, right=True).numpy()
        capped[part] = (events.t_end < end[of]).numpy()
    return SimulatedCounts(
        counts.reshape(len(batch), continuations, *counts.shape[1:]), capped.reshape(len(batch), continuations)
    )
