"""What all processes share: intensity, compensator and likelihood from the levels that hold on each gap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.events import EventBatch
from models.hawkes.excitation import Excitation
from models.hawkes.history import Gaps, counted_events, gaps_of, on_window_clock, position_before


class Levels(NamedTuple):
    """All that the intensity between two events depends on, besides the time since the first of them.

    base       (..., k)     constant on the gap: mu_k, plus f_k(h) where there is a network
    amplitude  (..., k, j)  heights of the decaying exponentials just after the event; j = 0 where there are none
    """

    base: Tensor
    amplitude: Tensor

    def at(self, *index: Tensor) -> Levels:
        return Levels(self.base[index], self.amplitude[index])


@dataclass
class Snapshot:
    """Histories carried from event to event while simulating: b rows, `time` (b,) of the last event or of t_start."""

    time: Tensor
    levels: Levels
    memory: tuple[Tensor, ...]

    def rows(self, index: Tensor) -> Snapshot:
        return Snapshot(self.time[index], self.levels.at(index), tuple(part[index] for part in self.memory))

    def put(self, index: Tensor, other: Snapshot) -> None:
        """Overwrite the rows `index` by those of `other`."""
        self.time[index] = other.time
        self.levels.base[index] = other.levels.base
        self.levels.amplitude[index] = other.levels.amplitude
        for mine, new in zip(self.memory, other.memory):
            mine[index] = new


class PointProcess(nn.Module):
    """A marked point process of `num_types` types whose levels are constant between events.

    A subclass says what the levels are (`encode`, and `snapshot`/`advance` event by event), and what rate they give
    after some time without an event (`rate`), and its integral (`integral`); all methods here follow from these.
    """

    num_types: int
    excitation: Excitation | None  # the classical part, where there is one

    def encode(self, batch: EventBatch) -> Levels:
        """Levels at every position of the batch: base (b, l + 1, k), amplitude (b, l + 1, k, j)."""
        raise NotImplementedError

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Intensity (g, q, k) of g levels at `elapsed` (g, q) after their event, none having come since."""
        raise NotImplementedError

    def log_rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """log of `rate`, (g, q, k); a subclass whose link can underflow says better."""
        return self.rate(levels, elapsed).log()

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Integral (g, k) of `rate` over [0, elapsed], elapsed (g,)."""
        raise NotImplementedError

    def snapshot(self, batch: EventBatch) -> Snapshot:
        """The history just after each sequence's last event."""
        raise NotImplementedError

    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        """The history after one more event of type `types` (b,) at time `at` (b,)."""
        raise NotImplementedError

    @property
    def rising(self) -> bool:
        """Whether a type's intensity may grow between events; if not, its value just after an event bounds it."""
        return False

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-able."""
        raise NotImplementedError

    def branching_matrix(self) -> Tensor:
        """(k, k) expected number of direct offspring of type k (row) of an event of type m (column)."""
        raise NotImplementedError

    def branching_ratio(self) -> float:
        """Spectral radius of the branching matrix: below 1 the excitation dies out (M3TR appendix G, assumption 1)."""
        return spectral_radius(self.branching_matrix())

    @torch.no_grad()
    def project_(self, *, max_branching: float | None = 0.95, support: Tensor | None = None) -> PointProcess:
        """Bring the influences back to what a process may have, in place; call it after every step of an optimiser.

        Negative influences become exactly 0. Where the branching ratio is above `max_branching`, the whole branching matrix
        is scaled down to it: a process at 1 or above cannot be simulated. A process without a classical part stays as it is.

        Args:
            max_branching: largest branching ratio; None leaves it free.
            support: (k, k) bool, False where an influence must be exactly 0, for example `process.branching_matrix() > 0`
                before training goes on. None leaves them all free.

        Returns:
            The process itself.
        """
        if self.excitation is not None:
            matrix = self.excitation.branching
            matrix.clamp_(min=0)
            if support is not None:
                matrix.mul_(support[..., None])
            if max_branching is not None and (ratio := self.branching_ratio()) > max_branching:
                matrix.mul_(max_branching / ratio)
        return self

    def intensity(self, batch: EventBatch, at: Tensor) -> Tensor:
        """(b, q, k) intensity at `at` (b, q) >= t_start, given the events strictly before it; ValueError otherwise."""
        levels, elapsed = self._levels_at(batch, at)
        return self.rate(levels, elapsed[:, None]).view(*at.shape, self.num_types)

    def compensator(self, batch: EventBatch, upto: Tensor | None = None) -> Tensor:
        """(b, k) float64 integral of the intensity over [t_start, t_end], or [t_start, upto], upto (b,), inf among them."""
        batch.check_types(self.num_types)
        gaps = gaps_of(batch)
        end = gaps.end
        if upto is not None:
            upto = torch.as_tensor(upto, dtype=torch.float64, device=end.device)
            if upto.shape != batch.t_end.shape or not bool((upto >= batch.t_start).all()):
                raise ValueError(
                    f"upto must be {tuple(batch.t_end.shape)} times, each >= its sequence's t_start; given {upto}"
                )
            last = torch.arange(end.shape[1], device=end.device) == batch.lengths[:, None]
            end = torch.minimum(torch.where(last, torch.inf, end), upto[:, None])
        return self._integrate(self.encode(batch), gaps.start, end, gaps.real).sum(1)

    def gap_compensators(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        """(b, l + 1, k) float64 integral over each gap: before event 1, ..., after the last; 0 outside the window."""
        batch.check_types(self.num_types)
        batch = on_window_clock(batch, window)
        gaps = gaps_of(batch)
        return self._integrate(self.encode(batch), gaps.start, gaps.end, _integrated(batch, gaps, window))

    def log_likelihood(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        """Log-likelihood of each sequence, in the unit of `times` (M3TR eq. 24): rescaling the clock by c costs n log c.

        Args:
            batch: b sequences.
            window: "observation" takes [t_start, t_end] and all events. "events" takes the papers' [t_1, t_n]: the events
                2..n given the first, the integral between the first and the last (MUFM eq. 47). The clock then starts at
                the first event, so that shifting all times changes nothing.

        Returns:
            (b,) float64.
        """
        own, integral = self.log_likelihood_parts(batch, window=window)
        return own.sum(1) - integral.sum(1)

    def log_likelihood_parts(self, batch: EventBatch, *, window: str = "observation") -> tuple[Tensor, Tensor]:
        """Log of each event's own intensity (b, l), 0 where it does not count, and the compensator (b, k), float64."""
        batch.check_types(self.num_types)
        batch = on_window_clock(batch, window)
        return self.likelihood_of(self.encode(batch), batch, window)

    def likelihood_of(self, levels: Levels, batch: EventBatch, window: str) -> tuple[Tensor, Tensor]:
        """`log_likelihood_parts` of a batch on the window's clock whose levels are known."""
        counted = counted_events(batch, window)
        gaps = gaps_of(batch)
        row, event = counted.nonzero(as_tuple=True)
        position = position_before(batch, batch.times)[row, event]
        elapsed = (batch.times[row, event] - gaps.start[row, position])[:, None]
        log_rate = self.log_rate(levels.at(row, position), elapsed)[:, 0]
        own = log_rate.gather(1, batch.types[row, event][:, None]).squeeze(1).double()
        own = torch.zeros_like(batch.times).index_put((row, event), own)
        return own, self._integrate(levels, gaps.start, gaps.end, _integrated(batch, gaps, window)).sum(1)

    def _levels_at(self, batch: EventBatch, at: Tensor) -> tuple[Levels, Tensor]:
        """The b q levels that hold just before each query, and the time since their event (b q,)."""
        batch.check_types(self.num_types)
        at = torch.as_tensor(at, dtype=torch.float64, device=batch.times.device)
        if at.ndim != 2 or len(at) != len(batch):
            raise ValueError(f"at must be ({len(batch)}, q) times; given shape {tuple(at.shape)}")
        if bool((early := ~(at >= batch.t_start[:, None])).any()):  # nor is NaN
            row, query = early.nonzero()[0].tolist()
            raise ValueError(
                f"sequence {row}: the time asked for must be >= t_start {float(batch.t_start[row])}; "
                f"given {float(at[row, query])}"
            )
        position = position_before(batch, at)
        elapsed = at - gaps_of(batch).start.gather(1, position)
        row = torch.arange(len(batch), device=at.device)[:, None].expand_as(position)
        return self.encode(batch).at(row.flatten(), position.flatten()), elapsed.flatten()

    def _integrate(self, levels: Levels, start: Tensor, end: Tensor, real: Tensor) -> Tensor:
        """(b, l + 1, k) integrals over the gaps [start, end), 0 where not `real`."""
        row, position = (real & (end > start)).nonzero(as_tuple=True)
        parts = self.integral(levels.at(row, position), (end - start)[row, position]).double()
        empty = torch.zeros(*start.shape, self.num_types, dtype=torch.float64, device=start.device)
        return empty.index_put((row, position), parts)


def spectral_radius(matrix: Tensor) -> float:
    """lim |M^n|^(1/n) of a non-negative matrix, by squaring: eigenvalue solvers may fail on equal rows, this cannot."""
    power, logarithm = matrix.detach().double(), 0.0
    for squarings in range(50):
        size = float(power.max())
        if size == 0:
            return 0.0
        logarithm += math.log(size) / 2**squarings
        power = power / size
        power = power @ power
    return math.exp(logarithm)


def _integrated(batch: EventBatch, gaps: Gaps, window: str) -> Tensor:
    """(b, l + 1) bool: the gaps that lie in the likelihood's window."""
    if window == "observation":
        return gaps.real
    between = torch.arange(gaps.real.shape[1], device=gaps.real.device)
    return (between > 0) & (between < batch.lengths[:, None])
