"""Simulation by thinning with exact bounds (Ogata 1981; M3TR section 3.2.2 and appendix D)."""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, compiled
from models.hawkes.process import Levels, PointProcess, Snapshot

HISTORIES = ("updated", "frozen")
DRAWS_AT_ONCE = 64  # random triples per sequence that are drawn at once
# Largest expected number of proposals in an interval whose intensity rises; the 2 of a constant intensity are below it.
EXPECTED = 8.0
FAINTEST = 1e-30  # smallest intensity that is used for the length of the first interval
TOLERANCE = 1e-5  # relative; rounding may take an intensity above its bound by this much


class SimulationError(RuntimeError):
    """Simulation that was refused or stopped. The message states the reason and a remedy."""


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
    """Continue each sequence from its t_end, conditional on its observed events.

    Give `length`, `until` or both. With both, a sequence ends at whichever comes first.

    Args:
        process: The process. A float64 copy of it runs on the CPU, so that results do not depend on the device.
        batch: The observed sequences.
        length: () or (b,), number of events per sequence, observed ones included. A sequence that reaches it gets the time of
            its last event as its t_end.
        until: () or (b,), time at which simulation stops. It becomes t_end.
        seeds: (b,) one seed per sequence. A sequence's events depend on its seed alone, not on the batch or the worker.
        history: "updated" (default) adds each new event to the history. "frozen" is the papers' non-homogeneous Poisson
            variant, whose intensity depends on the observed events only.
        max_events: Largest number of new events per sequence. Exceeding it is an error.
        allow_unstable: Whether to allow a branching ratio of 1 or more. It needs a `length`.

    Returns:
        The sequences with their new events, on the batch's device.

    Raises:
        SimulationError: The branching ratio is 1 or more, a sequence exceeds max_events, an intensity is NaN or infinite, or
            an intensity exceeds its bound, which would be a defect of this program.
        ValueError: An argument does not fit; the message states what is allowed.
        TypeError: The seeds are not one integer per sequence.

    Example:
        >>> process = ExponentialHawkes(1)
        >>> batch = EventBatch.from_sequences([[0.5, 1.0], [2.0]], [[0, 0], [0]], t_end=[3.0, 3.0])
        >>> simulate(process, batch, length=4, seeds=[1, 2], allow_unstable=True).lengths.tolist()
        [4, 4]
    """
    if length is None and until is None:
        raise ValueError("simulate needs `length`, `until` or both, given neither")
    if max_events < 0:
        raise ValueError(f"max_events must be at least 0; given {max_events}")
    if history not in HISTORIES:
        raise ValueError(f"history {history!r}; allowed: {', '.join(HISTORIES)}")
    ratio = process.branching_ratio()
    if ratio >= 1 and not (allow_unstable and length is not None):
        raise SimulationError(
            f"the process's branching ratio is {ratio:.3f}: at 1 or more the number of events grows without bound. "
            "Fit a stable process, or give a `length` with allow_unstable=True"
        )
    # In float64 and on the CPU, so that the draws of a sequence depend neither on rounding nor on the device.
    process, device, batch = copy.deepcopy(process).cpu().double().eval(), batch.times.device, batch.to("cpu")
    end = (
        torch.full_like(batch.t_end, torch.inf)
        if until is None
        else torch.as_tensor(until, dtype=torch.float64, device="cpu").expand(len(batch))
    )
    if not bool((end >= batch.t_end).all()):  # NaN fails too
        row = int((~(end >= batch.t_end)).nonzero()[0, 0])
        raise ValueError(f"sequence {row}: until {float(end[row])} is before its t_end {float(batch.t_end[row])}")
    target = torch.as_tensor(torch.iinfo(torch.int64).max if length is None else length, device="cpu").expand(
        len(batch)
    )
    if bool((target < 0).any()):
        row = int((target < 0).nonzero()[0, 0])
        raise ValueError(f"sequence {row}: length must be at least 0; given {int(target[row])}")
    growth = _Growth(batch, target, end, max_events, Draws(seeds, len(batch)))
    # Not isinstance: a subclass of the classical process may have another intensity than the compiled code.
    thin = _thin_compiled if type(process) is ExponentialHawkes else thin_batched
    thin(process, process.snapshot(batch), growth, frozen=history == "frozen")
    return growth.appended(batch).to(device)


class Growing:
    """State of a simulation of b rows. A subclass says what becomes of the new events.

    Attributes:
        now: (b,) current times.
        counts: (b,) current numbers of events.
        target: (b,) numbers of events at which rows end.
        end: (b,) times at which rows end.
        draws: The random numbers.
    """

    def __init__(self, now: Tensor, counts: Tensor, target: Tensor, end: Tensor, draws: Draws) -> None:
        """Start at `now` with `counts` events, which are copied."""
        self.now, self.counts, self.target, self.end, self.draws = now.clone(), counts.clone(), target, end, draws

    def active(self, rows: Tensor) -> Tensor:
        """Return those of `rows` that have reached neither their length nor their end."""
        return rows[(self.counts[rows] < self.target[rows]) & (self.now[rows] < self.end[rows])]

    def add(self, rows: Tensor, positions: Tensor, times: Tensor, types: Tensor) -> None:
        """Take new events, which `counts` and `now` already include; `positions` are their numbers in the rows."""
        raise NotImplementedError


class _Growth(Growing):
    """State of a simulation that keeps its events."""

    def __init__(self, batch: EventBatch, target: Tensor, end: Tensor, max_events: int, draws: Draws) -> None:
        super().__init__(batch.t_end, batch.lengths, target, end, draws)
        self.max_events, self._most = max_events, batch.lengths + max_events
        self._new_events: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []  # rows, positions in the rows, times, types

    def add(self, rows: Tensor, positions: Tensor, times: Tensor, types: Tensor) -> None:
        """Store new events, which `counts` and `now` already include; raise SimulationError if a row has too many."""
        self._new_events.append((rows, positions, times, types))
        many = rows[self.counts[rows] > self._most[rows]]
        if len(many):
            raise SimulationError(
                f"sequence {int(many[0])} grew by more than max_events = {self.max_events} events by time "
                f"{float(self.now[many[0]]):.6g}: the process is explosive, or max_events too small for this window"
            )

    def appended(self, batch: EventBatch) -> EventBatch:
        """Return `batch` with the new events."""
        t_end = torch.where(self.counts < self.target, self.end, self.now)
        width = int(self.counts.max()) if len(batch) else 0
        times = t_end[:, None].expand(-1, width).clone()
        types = torch.zeros(len(batch), width, dtype=torch.int64)
        kept = min(width, batch.times.shape[1])
        times[:, :kept] = torch.where(batch.mask, batch.times, t_end[:, None])[:, :kept]
        types[:, :kept] = batch.types[:, :kept]
        for row, position, time, kind in self._new_events:
            place = row * width + position
            times.view(-1)[place] = time
            types.view(-1)[place] = kind
        return EventBatch(times, types, self.counts, t_end, batch.t_start)


def thin_batched(process: PointProcess, snapshot: Snapshot, growth: Growing, *, frozen: bool) -> None:
    """Simulate any process: each step makes one proposal for every active row.

    Args:
        process: The process, in float64 on the CPU.
        snapshot: The histories of the rows; updated.
        growth: The state of the simulation; updated.
        frozen: Whether new events excite nothing.

    Raises:
        SimulationError: An intensity is not finite or exceeds its bound, or a row without an end has no more events.
    """
    now, end = growth.now, growth.end
    active = growth.active(torch.arange(len(now)))
    while len(active):
        levels, since = snapshot.levels.at(active), snapshot.time[active]
        uniform = growth.draws.next(active)  # (a, 3)
        ceiling, horizon = _bound(process, levels, now[active] - since, end[active] - now[active])
        silent = (ceiling == 0) & torch.isinf(horizon)
        if bool(silent.any()):
            row = int(active[silent][0])
            raise _silence(row, float(now[row]))
        wait = -torch.log1p(-uniform[:, 0]) / ceiling
        missed = ~(wait <= horizon)
        at = now[active] + torch.where(missed, horizon, wait)
        rates = process.rate(levels, (at - since)[:, None])[:, 0].double()
        total = rates.sum(-1)
        above = ~(total <= ceiling * (1 + TOLERANCE))
        wild = ~(torch.isfinite(ceiling) & torch.isfinite(total))
        if bool(wild.any()):
            row = int(wild.nonzero()[0, 0])
            raise not_finite(int(active[row]), float(at[row]))
        if bool(above.any()):
            row = int(above.nonzero()[0, 0])
            raise above_bound(int(active[row]), float(at[row]), float(total[row]), float(ceiling[row]))
        hit = ~missed & (uniform[:, 1] * ceiling < total)
        now[active] = at
        if bool(hit.any()):
            rows = active[hit]
            share = rates[hit].cumsum(-1)
            types = torch.searchsorted(share, (uniform[hit, 2] * total[hit])[:, None]).squeeze(1)
            types = types.clamp_max(process.num_types - 1)
            growth.counts[rows] += 1
            growth.add(rows, growth.counts[rows] - 1, at[hit], types)
            if not frozen:
                snapshot.put(rows, process.advance(snapshot.rows(rows), at[hit], types))
        active = growth.active(active)


def _thin_compiled(process: ExponentialHawkes, snapshot: Snapshot, growth: _Growth, *, frozen: bool) -> None:
    """Simulate the classical process with compiled code.

    Each row runs until its random draws are used up. This repeats with new draws until no row is active.
    """
    excitation, rows, observed = process.excitation, len(growth.now), growth.counts.clone()
    since = (growth.now - snapshot.time)[:, None, None, None]
    state = (snapshot.memory[0] * torch.exp(-since * excitation.rate)).flatten(2).contiguous()
    parameters = (process.baseline, excitation.jump.flatten(1), excitation.rate.flatten(1))
    parameters = [part.detach().contiguous().numpy() for part in parameters]
    # A row with too many events stops one event above the limit, and `add` raises the error.
    target = torch.minimum(growth.target, observed + growth.max_events + 1)
    arrays = (state, growth.now, growth.counts, target, growth.end.contiguous())
    arrays = [part.numpy() for part in arrays]
    times, types = np.empty((rows, DRAWS_AT_ONCE)), np.empty((rows, DRAWS_AT_ONCE), np.int64)
    used, counted, ended = (np.zeros(rows, np.int64) for _ in range(3))

    def work(part: slice) -> None:
        before = [array[part] for array in arrays]
        after = [array[part] for array in (draws, used, times, types, counted, ended)]
        compiled.thin(*before, frozen, TOLERANCE, excitation.decays, *parameters, *after)

    active = growth.active(torch.arange(rows))
    while len(active):
        draws = growth.draws.refilled(active)
        used[:], counted[:] = 0, 0
        counts = growth.counts.clone()
        compiled.share_rows(rows, work)
        for row in np.flatnonzero(ended == compiled.SILENT)[:1]:
            raise _silence(int(row), float(growth.now[row]))
        for row in np.flatnonzero(ended == compiled.NOT_FINITE)[:1]:
            raise not_finite(int(row), float(growth.now[row]))
        for row in np.flatnonzero(ended == compiled.ABOVE_BOUND)[:1]:
            raise above_bound(int(row), float(growth.now[row]), *times[row, :2])
        row, place = (torch.from_numpy(index) for index in np.nonzero(np.arange(DRAWS_AT_ONCE) < counted[:, None]))
        growth.add(row, counts[row] + place, torch.from_numpy(times)[row, place], torch.from_numpy(types)[row, place])
        active = growth.active(active)


def _bound(process: PointProcess, levels: Levels, elapsed: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Return an exact upper bound of the intensity over the next interval, and the length of the interval.

    A falling intensity has its maximum at the beginning of the interval. For a rising one `PointProcess.upper_bound` gives
    the bound, and the interval is short enough that the bound implies only a few expected events. So every interval needs only
    a few proposals, however low the intensity is and however fast it rises.

    Args:
        process: The process.
        levels: Levels of the intensity after each sequence's last event, (a,).
        elapsed: (a,) time since that event.
        left: (a,) time until the end of the simulation.

    Returns:
        The bound (a,), and the length of the interval (a,), at most `left`.
    """
    here = process.rate(levels, elapsed[:, None])[:, 0].double()
    if not process.rising:
        return here.sum(-1), left
    horizon = torch.minimum(2 / here.sum(-1).clamp_min(FAINTEST), left)
    while True:
        ceiling = process.upper_bound(levels, elapsed, elapsed + horizon).double().sum(-1)
        steep = ceiling * horizon > EXPECTED
        if not bool(steep.any()):
            return ceiling, horizon
        horizon = torch.where(steep, horizon / 4, horizon)


def _silence(row: int, now: float) -> SimulationError:
    return SimulationError(f"sequence {row}: the intensity is 0 from {now} on, so it gets no more events; give `until`")


def not_finite(row: int, at: float) -> SimulationError:
    """Return the error for an intensity of sequence `row` that is NaN or infinite at time `at`."""
    return SimulationError(
        f"sequence {row}: the intensity at {at} is not a finite number; check the process's parameters"
    )


def above_bound(row: int, at: float, total: float, ceiling: float) -> SimulationError:
    """Return the error for an intensity `total` of sequence `row` that is above its bound `ceiling` at time `at`."""
    return SimulationError(f"sequence {row}: the intensity {total} at {at} exceeds its bound {ceiling}")


def checked_seeds(seeds: Sequence[int] | Tensor, rows: int) -> list[int]:
    """Return the seeds of `rows` sequences modulo 2^64; raise TypeError or ValueError if they are not one integer each."""
    if not hasattr(seeds, "__len__"):
        raise TypeError(f"seeds must be one integer for each of the {rows} sequences; given {seeds!r}")
    if len(seeds) != rows:
        raise ValueError(f"{len(seeds)} seeds for {rows} sequences; give one per sequence")
    # operator.index refuses floats; int() would make 0.2 and 0.7 the same seed.
    return [operator.index(seed) % 2**64 for seed in (seeds.tolist() if isinstance(seeds, Tensor) else seeds)]


class Draws:
    """Uniform random triples in [0, 1), with one stream per sequence (Philox keyed by its seed)."""

    def __init__(self, seeds: Sequence[int] | Tensor, rows: int) -> None:
        """Start one stream per seed; there are `rows` of them."""
        numbers = checked_seeds(seeds, rows)
        self._streams = [np.random.Generator(np.random.Philox(key=number)) for number in numbers]
        self._drawn = np.empty((rows, DRAWS_AT_ONCE, 3))
        self._buffer = torch.from_numpy(self._drawn).flatten(0, 1)
        self._next = torch.arange(rows) * DRAWS_AT_ONCE
        self._end = self._next.clone()  # nothing drawn yet

    def next(self, rows: Tensor) -> Tensor:
        """Return the next triple of each of `rows`, (a, 3)."""
        place = self._next[rows]
        empty = place == self._end[rows]
        if bool(empty.any()):
            self.refilled(rows[empty])
            self._end[rows[empty]] = (rows[empty] + 1) * DRAWS_AT_ONCE
            place = torch.where(empty, rows * DRAWS_AT_ONCE, place)
        self._next[rows] = place + 1
        return self._buffer[place]

    def refilled(self, rows: Tensor) -> np.ndarray:
        """Draw new triples for `rows`, and return the triples of all rows, (b, DRAWS_AT_ONCE, 3)."""
        for row in rows.tolist():
            self._streams[row].random(out=self._drawn[row])
        return self._drawn
