"""The classical multivariate Hawkes process with exponential kernels, in closed form."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.events import EventBatch
from models.hawkes.excitation import Excitation
from models.hawkes.history import first_counted, gaps_of, window_bounds
from models.hawkes.process import Levels, PointProcess, Snapshot


class ExponentialHawkes(PointProcess):
    """A classical Hawkes process with sums of exponentials as kernels (M3TR appendix C.3 and C.6).

    The intensity of type k is
    lambda_k(t) = mu_k + sum_m sum_r sum_{t_j < t, type m} alpha_kmr exp(-delta_kmr (t - t_j)).
    If all excitation is 0, it is a homogeneous Poisson process. All parameters are float64.

    Attributes:
        baseline: mu (k,) >= 0, per unit of time.
        excitation: The kernels; see `models.hawkes.excitation.Excitation`.
        initialised: Whether the process has been fitted. `fit` then continues from its parameters.

    Example:
        >>> from models.hawkes import ExponentialHawkes
        >>> process = ExponentialHawkes(3, decays=2, shared=True)
        >>> process.branching_matrix().shape
        torch.Size([3, 3])
        >>> round(process.branching_ratio(), 3)
        0.1
    """

    def __init__(self, num_types: int, *, decays: int = 1, shared: bool = False) -> None:
        """Create a process with baseline 1 and weak excitation.

        Args:
            num_types: Number k of event types, at least 1.
            decays: Number of exponentials per pair of types, at least 1 (the default).
            shared: Whether all pairs have the same decay rates. This is much faster with many types: the state holds
                k r numbers per event instead of k k r.

        Raises:
            ValueError: If num_types or decays is below 1.
        """
        super().__init__()
        if num_types < 1 or decays < 1:
            raise ValueError(f"num_types and decays must be at least 1; given {num_types} and {decays}")
        self.num_types = num_types
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self.baseline = nn.Parameter(torch.ones(num_types, dtype=torch.float64))
        self.excitation = Excitation(num_types, decays=decays, shared=shared, dtype=torch.float64)

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"num_types": self.num_types, "decays": self.excitation.decays, "shared": self.excitation.shared}

    def branching_matrix(self) -> Tensor:
        """Return the expected direct offspring (k, k); see `PointProcess.branching_matrix`."""
        return self.excitation.influence()

    def encode(self, batch: EventBatch) -> Levels:
        """Return the levels at every position; amplitude (b, l + 1, k, j)."""
        states = self.excitation.states(batch.gaps, batch.types, batch.mask)
        return self._levels(states)

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the intensity (g, q, k) at `elapsed` (g, q) after the event of each of g levels."""
        return levels.base[:, None] + self.excitation.decayed(levels.amplitude, elapsed.to(levels.base))

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the integral (g, k) of `rate` over [0, elapsed] in closed form; `elapsed` is (g,)."""
        elapsed = elapsed.to(levels.base)
        return levels.base * elapsed[:, None] + self.excitation.accumulated(levels.amplitude, elapsed)

    def components(self, batch: EventBatch, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the terms of the intensity at the given times.

        Args:
            batch: b sequences.
            at: (b, q), times at or after t_start.

        Returns:
            Baseline, excitation and neural term, each (b, q, k). The neural term is 0. Their sum is the intensity.
        """
        total = self.intensity(batch, at)
        baseline = self.baseline.expand_as(total)
        return baseline, total - baseline, torch.zeros_like(total)

    def log_likelihood(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        """Return the log-likelihood (b,) float64; see `PointProcess.log_likelihood`."""
        own, integral = self._likelihood(batch, window, each=False)
        return own.squeeze(1) - integral.sum(1)

    def log_likelihood_parts(self, batch: EventBatch, *, window: str = "observation") -> tuple[Tensor, Tensor]:
        """Return log-intensities (b, l) and compensator (b, k); see `PointProcess.log_likelihood_parts`."""
        return self._likelihood(batch, window, each=True)

    def _likelihood(self, batch: EventBatch, window: str, *, each: bool) -> tuple[Tensor, Tensor]:
        # Faster than the base class: it computes only the type that occurred at each event, and the compensator per event.
        batch.check_types(self.num_types)
        first = first_counted(window)
        own = self.excitation.log_at_events(batch, self.baseline, first=first, each=each)
        start, end = window_bounds(batch, window)
        return own, self.baseline * (end - start)[:, None] + self.excitation.offspring(batch, end)

    @torch.no_grad()
    def snapshot(self, batch: EventBatch) -> Snapshot:
        """Return the history of each sequence just after its last event."""
        batch.check_types(self.num_types)
        states = self.excitation.states(batch.gaps, batch.types, batch.mask)
        rows = torch.arange(len(batch), device=states.device)
        last = states[rows, batch.lengths].clone()
        # A padded gap is 0 and a padded event adds nothing, so position `lengths` holds the state after the last event.
        time = gaps_of(batch).start[rows, batch.lengths]
        return Snapshot(time, self._levels(last), (last,))

    @torch.no_grad()
    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        """Return the history after one more event of type `types` (b,) at time `at` (b,)."""
        state = self.excitation.step(snapshot.memory[0], at - snapshot.time, types)
        return Snapshot(at, self._levels(state), (state,))

    def _levels(self, states: Tensor) -> Levels:
        amplitude = self.excitation.amplitudes(states)
        return Levels(self.baseline.expand(amplitude.shape[:-1]).clone(), amplitude)
