"""The base class of all point processes: intensity, compensator and likelihood.

A subclass defines the levels of each gap, that is, the values that stay constant from one event to the next. Everything
else follows from the levels.
"""

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
    """The values that determine the intensity on a gap, together with the time since the gap's first event.

    Attributes:
        base: (..., k), constant on the gap: mu_k, plus f_k(h) if the process has a network.
        amplitude: (..., k, j), heights of the decaying exponentials just after the event; j = 0 without exponentials.
    """

    base: Tensor
    amplitude: Tensor

    def at(self, *index: Tensor) -> Levels:
        """Return the levels at the given indices into the leading dimensions."""
        return Levels(self.base[index], self.amplitude[index])


@dataclass
class Snapshot:
    """The histories of b sequences during a simulation, updated event by event.

    Attributes:
        time: (b,) float64, time of the last event, or t_start before the first event.
        levels: Levels just after that time; base (b, k), amplitude (b, k, j).
        memory: State tensors of the subclass, each with b rows.
    """

    time: Tensor
    levels: Levels
    memory: tuple[Tensor, ...]

    def rows(self, index: Tensor) -> Snapshot:
        """Return the histories of the rows `index`, in that order."""
        return Snapshot(self.time[index], self.levels.at(index), tuple(part[index] for part in self.memory))

    def put(self, index: Tensor, other: Snapshot) -> None:
        """Overwrite the rows `index` with the rows of `other`, in place."""
        self.time[index] = other.time
        self.levels.base[index] = other.levels.base
        self.levels.amplitude[index] = other.levels.amplitude
        for mine, new in zip(self.memory, other.memory):
            mine[index] = new


class PointProcess(nn.Module):
    """A marked point process whose levels are constant between events.

    A subclass implements `encode` for whole batches, and `snapshot` and `advance` for single events. It also implements
    `rate`, the intensity some time after an event, and `integral`, the integral of `rate`. The other methods follow
    from these.

    Attributes:
        num_types: Number k of event types.
        excitation: The classical part; None for a process without one.
    """

    num_types: int
    excitation: Excitation | None

    def encode(self, batch: EventBatch) -> Levels:
        """Return the levels at every position of the batch.

        Args:
            batch: b sequences, padded to l events.

        Returns:
            Levels with base (b, l + 1, k) and amplitude (b, l + 1, k, j). Position p is the history just after event p;
            position 0 is the empty history.
        """
        raise NotImplementedError

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the intensity after `elapsed` time without a further event.

        Args:
            levels: Levels of g histories.
            elapsed: (g, q), time since the last event of each history.

        Returns:
            (g, q, k) intensity per unit of time.
        """
        raise NotImplementedError

    def log_rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the logarithm of `rate`, (g, q, k).

        A subclass whose link can underflow overrides this method.
        """
        return self.rate(levels, elapsed).log()

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the integral (g, k) of `rate` over [0, elapsed]; `elapsed` is (g,)."""
        raise NotImplementedError

    def snapshot(self, batch: EventBatch) -> Snapshot:
        """Return the history of each sequence just after its last event."""
        raise NotImplementedError

    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        """Return the history after one more event of type `types` (b,) at time `at` (b,)."""
        raise NotImplementedError

    @property
    def rising(self) -> bool:
        """Whether a type's intensity can grow between events.

        If not, its value just after an event is an upper bound until the next event.
        """
        return False

    def upper_bound(self, levels: Levels, start: Tensor, end: Tensor) -> Tensor:
        """Return the largest intensity of each type between `start` and `end`, or an upper bound of it, (g, k).

        Here each type's intensity is monotone between events, so that the larger of both ends is the maximum. A subclass for
        which that is not so overrides this method.

        Args:
            levels: Levels of g histories.
            start: (g,), time since the last event of each history.
            end: (g,), a later time.
        """
        return torch.maximum(self.rate(levels, start[:, None]), self.rate(levels, end[:, None]))[:, 0]

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments as values that JSON can store."""
        raise NotImplementedError

    def branching_matrix(self) -> Tensor:
        """Return the expected numbers of direct offspring.

        Returns:
            (k, k) matrix. Entry [k, m] is the expected number of events of type k that one event of type m causes directly.
        """
        raise NotImplementedError

    def branching_ratio(self) -> float:
        """Return the spectral radius of the branching matrix.

        Below 1 the excitation dies out (M3TR appendix G, assumption 1).
        """
        return spectral_radius(self.branching_matrix())

    @torch.no_grad()
    def project_(self, *, max_branching: float | None = 0.95, support: Tensor | None = None) -> PointProcess:
        """Project the branching matrix onto the feasible set, in place; call it after every optimiser step.

        Negative influences become exactly 0. If the branching ratio is above `max_branching`, the whole branching matrix
        is scaled down to that ratio. A process whose ratio is 1 or above cannot be simulated. A process without a
        classical part is left unchanged.

        Args:
            max_branching: Largest allowed branching ratio; None means no bound.
            support: (k, k) bool, False where an influence must be exactly 0. To keep the zeros of an earlier fit, pass
                `process.branching_matrix() > 0`, computed before the training continues. None leaves all entries free.

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
        """Return the intensity at the given times, conditional on the events strictly before each time.

        Args:
            batch: b sequences.
            at: (b, q), times at or after each sequence's t_start, in the unit of the event times.

        Returns:
            (b, q, k) intensity per unit of time.

        Raises:
            EventError: If the batch holds a type that the process does not know.
            ValueError: If `at` has another shape, or holds NaN or a time before t_start.
        """
        levels, elapsed = self._levels_at(batch, at)
        return self.rate(levels, elapsed[:, None]).view(*at.shape, self.num_types)

    def compensator(self, batch: EventBatch, upto: Tensor | None = None) -> Tensor:
        """Return the integral of the intensity from each sequence's t_start.

        Args:
            batch: b sequences.
            upto: (b,), end of each integral, at or after t_start; infinity is allowed. By default t_end.

        Returns:
            (b, k) float64, the expected number of events of each type.

        Raises:
            EventError: If the batch holds a type that the process does not know.
            ValueError: If `upto` has another shape, or holds NaN or a time before t_start.
        """
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
        """Return the integral of the intensity over each gap between events.

        Args:
            batch: b sequences, padded to l events.
            window: "observation" or "events"; see `log_likelihood`.

        Returns:
            (b, l + 1, k) float64. Gap 0 lies before the first event, gap p after event p. Gaps outside the window and in
            the padding are 0.

        Raises:
            EventError: If the batch holds a type that the process does not know.
            ValueError: If the window is unknown.
        """
        batch.check_types(self.num_types)
        batch = on_window_clock(batch, window)
        gaps = gaps_of(batch)
        return self._integrate(self.encode(batch), gaps.start, gaps.end, _integrated(batch, gaps, window))

    def log_likelihood(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        """Return the log-likelihood of each sequence (M3TR eq. 24).

        It is in the unit of `times`: multiplying all times by c lowers it by n log c.

        Args:
            batch: b sequences.
            window: "observation" (default) covers [t_start, t_end] and all events. "events" covers the papers' window
                [t_1, t_n] (MUFM eq. 47): events 2 to n conditional on the first, and the integral from the first event to
                the last. The clock then starts at the first event, so that shifting all times changes nothing.

        Returns:
            (b,) float64, in nats.

        Raises:
            EventError: If the batch holds a type that the process does not know.
            ValueError: If the window is unknown.

        Example:
            >>> from models.events import EventBatch
            >>> from models.hawkes import ExponentialHawkes
            >>> batch = EventBatch.from_sequences([[1.0, 2.5]], [[0, 1]], t_end=[4.0])
            >>> ExponentialHawkes(2).log_likelihood(batch).shape
            torch.Size([1])
        """
        own, integral = self.log_likelihood_parts(batch, window=window)
        return own.sum(1) - integral.sum(1)

    def log_likelihood_parts(self, batch: EventBatch, *, window: str = "observation") -> tuple[Tensor, Tensor]:
        """Return the two parts of the log-likelihood.

        Args:
            batch: b sequences, padded to l events.
            window: "observation" or "events"; see `log_likelihood`.

        Returns:
            (b, l) float64, the log-intensity of each event's own type, 0 for events that are not scored and in the
            padding; and (b, k) float64, the compensator.

        Raises:
            EventError: If the batch holds a type that the process does not know.
            ValueError: If the window is unknown.
        """
        batch.check_types(self.num_types)
        batch = on_window_clock(batch, window)
        return self.likelihood_of(self.encode(batch), batch, window)

    def likelihood_of(self, levels: Levels, batch: EventBatch, window: str) -> tuple[Tensor, Tensor]:
        """Return `log_likelihood_parts` for levels that have already been computed.

        Args:
            levels: Levels of `batch`, as `encode` returns them.
            batch: b sequences on the window's clock; see `history.on_window_clock`.
            window: "observation" or "events".

        Returns:
            The log-intensities (b, l) and the compensator (b, k), float64.
        """
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
        """Return the b q levels that hold just before each query time, and the time since their event (b q,)."""
        batch.check_types(self.num_types)
        at = torch.as_tensor(at, dtype=torch.float64, device=batch.times.device)
        if at.ndim != 2 or len(at) != len(batch):
            raise ValueError(f"at must be ({len(batch)}, q) times; given shape {tuple(at.shape)}")
        if bool((early := ~(at >= batch.t_start[:, None])).any()):  # written so that NaN is refused too
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
        """Return the integrals (b, l + 1, k) over the gaps [start, end); 0 where `real` is False."""
        row, position = (real & (end > start)).nonzero(as_tuple=True)
        parts = self.integral(levels.at(row, position), (end - start)[row, position]).double()
        empty = torch.zeros(*start.shape, self.num_types, dtype=torch.float64, device=start.device)
        return empty.index_put((row, position), parts)


def spectral_radius(matrix: Tensor) -> float:
    """Return the spectral radius of a non-negative matrix, lim |M^n|^(1/n), by repeated squaring.

    Eigenvalue solvers can fail on a matrix with equal rows; squaring cannot.
    """
    power, logarithm = matrix.detach().double().cpu(), 0.0  # on a GPU, each number read below would wait for it
    for squarings in range(50):
        size = float(power.max())
        if size == 0:
            return 0.0
        logarithm += math.log(size) / 2**squarings
        power = power / size
        power = power @ power
    return math.exp(logarithm)


def _integrated(batch: EventBatch, gaps: Gaps, window: str) -> Tensor:
    """Return which gaps lie in the likelihood's window, (b, l + 1) bool."""
    if window == "observation":
        return gaps.real
    between = torch.arange(gaps.real.shape[1], device=gaps.real.device)
    return (between > 0) & (between < batch.lengths[:, None])
