"""Simulation by thinning with exact bounds (Ogata 1981; M3TR section 3.2.2 and appendix D)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.process import PointProcess, Snapshot

HISTORIES = ("updated", "frozen")
DRAWS_AT_ONCE = 64


class SimulationError(RuntimeError):
    """A simulation that was refused or stopped; the message says why and what to do."""


@torch.no_grad()
def simulate(
    process: PointProcess,
    batch: EventBatch,
    *,
    length: int | Tensor | None = None,
    until: Tensor | float | None = None,
    seeds: Sequence[int] | Tensor,
    history: str = "updated",
    max_events: int = 100_000,
    allow_unstable: bool = False,
) -> EventBatch:
    """Continue each sequence from its t_end, given what was observed, and return it with its new events.

    length      () or (b,): stop a sequence when it has this many events in all (its t_end becomes the last one's time)
    until       stop at this time, () or (b,): t_end becomes it. One of the two, or both: whichever comes first
    seeds       (b,) one seed a sequence: its events depend on it alone, not on the batch or on the worker
    history     "updated": each new event enters the history. "frozen": the papers' non-homogeneous Poisson variant,
                whose intensity goes on from the observed events only
    max_events  no sequence may grow by more events than this

    Raises SimulationError where the branching ratio is 1 or more (allow_unstable=True with a `length` overrides),
    where a sequence exceeds max_events, and where an intensity exceeds its bound, which would be a defect.
    """
    if length is None and until is None:
        raise ValueError("simulate needs a length, an until, or both")
    if history not in HISTORIES:
        raise ValueError(f"history {history!r}; allowed: {', '.join(HISTORIES)}")
    ratio = process.branching_ratio()
    if ratio >= 1 and not (allow_unstable and length is not None):
        raise SimulationError(
            f"the process's branching ratio is {ratio:.3f}: at 1 or more its events multiply without end. "
            "Fit a stable process, or ask for a `length` with allow_unstable=True"
        )
    # In float64 and on the CPU, so that what a sequence draws hangs neither on rounding nor on the device.
    process, device, batch = copy.deepcopy(process).cpu().double().eval(), batch.times.device, batch.to("cpu")
    end = (
        torch.full_like(batch.t_end, torch.inf)
        if until is None
        else torch.as_tensor(until, dtype=torch.float64, device="cpu").expand(len(batch))
    )
    if bool((end < batch.t_end).any()):
        row = int((end < batch.t_end).nonzero()[0, 0])
        raise ValueError(f"sequence {row}: until {float(end[row])} is before its t_end {float(batch.t_end[row])}")
    target = torch.as_tensor(torch.iinfo(torch.int64).max if length is None else length, device="cpu").expand(
        len(batch)
    )
    draws = _Draws(seeds, len(batch))
    snapshot = process.snapshot(batch)
    now, counts = batch.t_end.clone(), batch.lengths.clone()
    found = []
    active = ((counts < target) & (now < end)).nonzero().squeeze(1)
    while len(active):
        part = snapshot.rows(active)
        uniform = draws.next(active)  # (a, 3)
        ceiling, horizon = _bound(process, part, now[active], end[active])
        silent = (ceiling == 0) & torch.isinf(horizon)
        if bool(silent.any()):
            row = int(active[silent][0])
            raise SimulationError(
                f"sequence {row}: the intensity is 0 from {float(now[row])} on and there is no `until`"
            )
        wait = -torch.log1p(-uniform[:, 0]) / ceiling
        missed = ~(wait <= horizon)
        at = now[active] + torch.where(missed, horizon, wait)
        rates = process.rate(part.levels, (at - part.time)[:, None])[:, 0].double()
        total = rates.sum(-1)
        _check_bound(total, ceiling, active, at)
        hit = ~missed & (uniform[:, 1] * ceiling < total)
        now[active] = at
        if bool(hit.any()):
            rows = active[hit]
            share = rates[hit].cumsum(-1)
            types = torch.searchsorted(share, (uniform[hit, 2] * total[hit])[:, None]).squeeze(1)
            types = types.clamp_max(process.num_types - 1)
            counts[rows] += 1
            if bool((counts[rows] - batch.lengths[rows] > max_events).any()):
                row = int(rows[(counts[rows] - batch.lengths[rows] > max_events)][0])
                raise SimulationError(
                    f"sequence {row} grew by more than max_events = {max_events} events by time {float(now[row]):.6g}: "
                    "the process is explosive, or max_events too small for this window"
                )
            found.append((rows, counts[rows] - 1, at[hit], types))
            if history == "updated":
                snapshot.put(rows, process.advance(part.rows(hit), at[hit], types))
        active = active[(counts[active] < target[active]) & (now[active] < end[active])]
    return _append(batch, found, counts, torch.where(counts < target, end, now)).to(device)


def _bound(process: PointProcess, part: Snapshot, now: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """The intensity's exact maximum from now on, and for how long it holds: (a,) each.

    Between events every type's intensity is monotone, so its maximum lies at an end of the stretch: at `now` where it
    falls; where it rises, at the end of a stretch in which some two events are expected.
    """
    here = process.rate(part.levels, (now - part.time)[:, None])[:, 0].double()
    if not process.rising:
        return here.sum(-1), end - now
    horizon = torch.minimum(2 / here.sum(-1), end - now)
    there = process.rate(part.levels, (now + horizon - part.time)[:, None])[:, 0].double()
    return torch.maximum(here, there).sum(-1), horizon


def _check_bound(total: Tensor, ceiling: Tensor, active: Tensor, at: Tensor) -> None:
    above = total > ceiling * (1 + 1e-5)
    if bool(above.any()) or not bool(torch.isfinite(total).all()):
        bad = above | ~torch.isfinite(total)
        row = int(bad.nonzero()[0, 0])
        raise SimulationError(
            f"sequence {int(active[row])}: the intensity {float(total[row])} at {float(at[row])} exceeds its bound "
            f"{float(ceiling[row])}"
        )


class _Draws:
    """Uniform triples in [0, 1), one stream a sequence (Philox keyed by its seed), handed out in order."""

    def __init__(self, seeds: Sequence[int] | Tensor, rows: int) -> None:
        if len(seeds) != rows:
            raise ValueError(f"{len(seeds)} seeds for {rows} sequences: one each")
        self._streams = [np.random.Generator(np.random.Philox(key=int(seed) % 2**64)) for seed in seeds]
        self._drawn = np.empty((rows, DRAWS_AT_ONCE, 3))
        self._buffer = torch.from_numpy(self._drawn).flatten(0, 1)
        self._next = torch.arange(rows) * DRAWS_AT_ONCE
        self._end = self._next.clone()  # nothing drawn yet

    def next(self, rows: Tensor) -> Tensor:
        place = self._next[rows]
        empty = place == self._end[rows]
        if bool(empty.any()):
            for row in rows[empty].tolist():
                self._streams[row].random(out=self._drawn[row])
            self._end[rows[empty]] = (rows[empty] + 1) * DRAWS_AT_ONCE
            place = torch.where(empty, rows * DRAWS_AT_ONCE, place)
        self._next[rows] = place + 1
        return self._buffer[place]


def _append(
    batch: EventBatch, found: list[tuple[Tensor, Tensor, Tensor, Tensor]], lengths: Tensor, t_end: Tensor
) -> EventBatch:
    """`batch` with the events found: rows, positions in their rows, times and types."""
    width = int(lengths.max()) if len(lengths) else 0
    all_times = t_end[:, None].expand(-1, width).clone()
    all_types = torch.zeros(len(batch), width, dtype=torch.int64)
    kept = min(width, batch.times.shape[1])
    all_times[:, :kept] = torch.where(batch.mask, batch.times, t_end[:, None])[:, :kept]
    all_types[:, :kept] = batch.types[:, :kept]
    for row, position, time, kind in found:
        place = row * width + position
        all_times.view(-1)[place] = time
        all_types.view(-1)[place] = kind
    return EventBatch(all_times, all_types, lengths, t_end)
