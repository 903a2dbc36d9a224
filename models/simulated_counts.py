"""Numbers of new events until several times, in many simulated continuations of each sequence."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes import compiled_continuations as compiled
from models.hawkes.continued_process import CompiledProcess, compiled_process, histories
from models.hawkes.process import PointProcess
from models.thinning import HISTORIES, TOLERANCE, Draws, Growing, above_bound, checked_seeds, not_finite, thin_batched

CHUNK = 1024  # continuations per task of a thread
ROWS_AT_ONCE = 4096  # continuations that are simulated at once where there is no compiled code


@dataclass(frozen=True)
class SimulatedCounts:
    """Counts of new events in c continuations of b sequences.

    Attributes:
        counts: (b, c, H, T) int64, new events of each of T groups of types until each of H times.
        capped: (b, c) bool, whether the continuation stopped at `max_events`. Its counts at later times are too low.
    """

    counts: np.ndarray
    capped: np.ndarray


class _Task(NamedTuple):
    """What is simulated and counted; see `simulate_counts`, whose checked arguments these are."""

    batch: EventBatch
    until: Tensor
    counted: Tensor
    counted_from: Tensor
    keys: np.ndarray
    frozen: bool
    max_events: int


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

    A continuation starts at its row's t_end, conditional on the row's observed events, which are encoded once per row. It has
    the law of `models.thinning.simulate`, but other random numbers. An unstable process is not an error here: a continuation
    stops at `max_events` new events.

    The classical process and the Mamba-Hawkes process with one layer and without running counts and clock run in compiled
    code, on as many threads as PyTorch uses. There the network is evaluated in float32. Other processes run in batches, and
    take about ten times as long.

    If a sequence holds only the first events of its window, its t_end is the time of the last of them. Pass the end of the
    window as `counted_from`. The simulated events between t_end and that time then stand for the events that the sequence
    lacks: they are part of the history of later events, and are not counted.

    Args:
        process: The process.
        batch: b observed sequences.
        until: (H,) or (b, H), finite ascending times. The count at a time that is not after `counted_from` is 0.
        counted: (T, k) bool, the event types of each group.
        continuations: Number c of continuations per sequence.
        seeds: (b,) one seed per sequence. Continuation number i of a sequence depends on the sequence, its seed and i alone.
        counted_from: (b,), time up to which events are not counted; by default t_end.
        history: "updated" (default) or "frozen"; see `models.thinning.simulate`.
        max_events: Largest number of new events per continuation, counted or not.

    Returns:
        The counts, and which continuations stopped at `max_events`.

    Raises:
        SimulationError: An intensity is NaN or infinite, or exceeds its bound, which would be a defect of this program.
        ValueError: An argument does not fit; the message states what is allowed.
        TypeError: The seeds are not one integer per sequence.

    Example:
        >>> from models.hawkes import ExponentialHawkes
        >>> batch = EventBatch.from_sequences([[0.5, 1.0], [2.0]], [[0, 1], [0]], t_end=[3.0, 3.0])
        >>> both = torch.ones(1, 2, dtype=torch.bool)
        >>> until = torch.tensor([2.0, 9.0])
        >>> found = simulate_counts(ExponentialHawkes(2), batch, until, counted=both, continuations=5, seeds=[1, 2])
        >>> found.counts.shape, int(found.counts[:, :, 0].max())  # no row is counted before its t_end
        ((2, 5, 2, 1), 0)
    """
    batch = batch.to("cpu")
    until = torch.as_tensor(until, dtype=torch.float64, device="cpu")
    counted = torch.as_tensor(counted, device="cpu")
    counted_from = batch.t_end if counted_from is None else torch.as_tensor(counted_from, dtype=torch.float64)
    if history not in HISTORIES:
        raise ValueError(f"history {history!r}; allowed: {', '.join(HISTORIES)}")
    if min(continuations, max_events) < 1:
        raise ValueError(f"continuations and max_events must be at least 1; given {continuations} and {max_events}")
    if counted.dtype != torch.bool or counted.ndim != 2 or counted.shape[1] != process.num_types:
        raise ValueError(
            f"counted must be (groups, {process.num_types}) bools; given {tuple(counted.shape)} of {counted.dtype}"
        )
    if until.ndim not in (1, 2) or until.shape[-1] == 0 or (until.ndim == 2 and len(until) != len(batch)):
        raise ValueError(f"until must be (times,) or ({len(batch)}, times); given {tuple(until.shape)}")
    if not bool(torch.isfinite(until).all()) or bool((until.diff(dim=-1) < 0).any()):
        raise ValueError(f"until must be finite ascending times; given {until.tolist()}")
    keys = np.zeros((len(batch), continuations), np.uint64)
    compiled.continuation_keys(np.array(checked_seeds(seeds, len(batch)), np.uint64), keys)
    until = until.expand(len(batch), -1).contiguous()
    process = copy.deepcopy(process).cpu().double().eval()  # float64, so that the histories do not depend on the device
    counts = np.zeros((len(batch) * continuations, until.shape[1], len(counted)), np.int64)
    capped = np.zeros(len(counts), bool)
    if len(batch):
        fast = compiled_process(process)
        task = _Task(batch, until, counted, counted_from, keys, history == "frozen", max_events)
        if fast is not None:
            _compiled(fast, process, task, counts, capped)
        else:
            _batched(process, task, counts, capped)
    return SimulatedCounts(
        counts.reshape(len(batch), continuations, *counts.shape[1:]), capped.reshape(len(batch), continuations)
    )


def _compiled(
    fast: CompiledProcess, process: PointProcess, task: _Task, counts: np.ndarray, capped: np.ndarray
) -> None:
    """Fill `counts` and `capped` with compiled code, chunk by chunk on PyTorch's number of threads."""
    observed = histories(process, fast.network, task.batch, task.until, task.counted_from)
    results = compiled.Results(counts, capped, np.zeros(len(counts), np.int64), np.zeros((len(counts), 3)))
    counted, each = task.counted.numpy(), task.keys.shape[1]

    def work(first: int) -> None:
        compiled.continue_rows(
            *fast, observed, counted, task.keys.ravel(), each, first, min(first + CHUNK, len(counts)), task.frozen,
            task.max_events, TOLERANCE, results,
        )  # fmt: skip

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, range(0, len(counts), CHUNK)))
    for number in np.flatnonzero(results.ended != compiled.RAN)[:1]:
        at, total, ceiling = results.wrong[number]
        row = int(number) // each
        raise (
            not_finite(row, at)
            if results.ended[number] == compiled.NOT_FINITE
            else above_bound(row, at, total, ceiling)
        )


def _batched(process: PointProcess, task: _Task, counts: np.ndarray, capped: np.ndarray) -> None:
    """Fill `counts` and `capped` with the code for any process."""
    batch, snapshot = task.batch, process.snapshot(task.batch)
    of = torch.arange(len(batch)).repeat_interleave(task.keys.shape[1])
    for part in torch.arange(len(of)).split(ROWS_AT_ONCE):
        rows = of[part]
        draws = Draws(task.keys.ravel()[part.numpy()].tolist(), len(rows))
        start, begin = batch.t_end[rows], task.counted_from[rows]
        tally = _Tally(start, task.until[rows], task.counted, begin, task.max_events, draws)
        thin_batched(process, snapshot.rows(rows), tally, frozen=task.frozen)
        counts[part.numpy()] = tally.by_group()
        capped[part.numpy()] = (tally.now < tally.end).numpy()


class _Tally(Growing):
    """State of a simulation that counts its events and keeps none."""

    def __init__(
        self, start: Tensor, until: Tensor, counted: Tensor, counted_from: Tensor, max_events: int, draws: Draws
    ) -> None:
        nothing = torch.zeros(len(start), dtype=torch.int64)
        super().__init__(
            start, nothing, torch.full_like(nothing, max_events), torch.maximum(until[:, -1], start), draws
        )
        self._until, self._counted, self._from = until, counted, counted_from
        self._found = torch.zeros(
            *until.shape, counted.shape[1], dtype=torch.int64
        )  # events between two times, by type

    def add(self, rows: Tensor, positions: Tensor, times: Tensor, types: Tensor) -> None:
        before = torch.searchsorted(self._until[rows], times[:, None]).squeeze(
            1
        )  # the first time at or after the event
        late = times > self._from[rows]
        self._found.index_put_((rows[late], before[late], types[late]), torch.tensor(1), accumulate=True)

    def by_group(self) -> np.ndarray:
        """Return the counts (b, H, T)."""
        return (self._found.cumsum(1) @ self._counted.T.to(torch.int64)).numpy()
