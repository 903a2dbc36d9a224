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
    """lambda_k(t) = mu_k + sum_m sum_r sum_{t_j < t, type m} alpha_kmr exp(-delta_kmr (t - t_j)).

    M3TR appendix C.3 and C.6. `decays` exponentials a pair of types; `shared` decay rates are common to all pairs,
    which is much faster with many types. With all excitation 0 it is a homogeneous Poisson process. Parameters are
    float64: `baseline` mu (k,) >= 0 per unit of time, and those of `excitation`.
    """

    def __init__(self, num_types: int, *, decays: int = 1, shared: bool = False) -> None:
        super().__init__()
        if num_types < 1 or decays < 1:
            raise ValueError(f"num_types and decays must be at least 1; given {num_types} and {decays}")
        self.num_types = num_types
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self.baseline = nn.Parameter(torch.ones(num_types, dtype=torch.float64))
        self.excitation = Excitation(num_types, decays=decays, shared=shared, dtype=torch.float64)

    def config(self) -> dict[str, Any]:
        return {"num_types": self.num_types, "decays": self.excitation.decays, "shared": self.excitation.shared}

    def branching_matrix(self) -> Tensor:
        return self.excitation.influence()

    def encode(self, batch: EventBatch) -> Levels:
        states = self.excitation.states(batch.gaps, batch.types, batch.mask)
        return self._levels(states)

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        return levels.base[:, None] + self.excitation.decayed(levels.amplitude, elapsed.to(levels.base))

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        elapsed = elapsed.to(levels.base)
        return levels.base * elapsed[:, None] + self.excitation.accumulated(levels.amplitude, elapsed)

    def components(self, batch: EventBatch, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """baseline, excitation and neural term (0), each (b, q, k), at `at` (b, q); their sum is the intensity."""
        total = self.intensity(batch, at)
        baseline = self.baseline.expand_as(total)
        return baseline, total - baseline, torch.zeros_like(total)

    def log_likelihood(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        own, integral = self._likelihood(batch, window, each=False)
        return own.squeeze(1) - integral.sum(1)

    def log_likelihood_parts(self, batch: EventBatch, *, window: str = "observation") -> tuple[Tensor, Tensor]:
        return self._likelihood(batch, window, each=True)

    def _likelihood(self, batch: EventBatch, window: str, *, each: bool) -> tuple[Tensor, Tensor]:
        # As for every process, but only the type that occurred at each event, and the compensator event by event.
        batch.check_types(self.num_types)
        first = first_counted(window)
        own = self.excitation.log_at_events(batch, self.baseline, first=first, each=each)
        start, end = window_bounds(batch, window)
        return own, self.baseline * (end - start)[:, None] + self.excitation.offspring(batch, end)

    @torch.no_grad()
    def snapshot(self, batch: EventBatch) -> Snapshot:
        batch.check_types(self.num_types)
        states = self.excitation.states(batch.gaps, batch.types, batch.mask)
        rows = torch.arange(len(batch), device=states.device)
        last = states[rows, batch.lengths].clone()
        # A padded gap is 0 and a padded event adds nothing, so position `lengths` is the state after the last event.
        time = gaps_of(batch).start[rows, batch.lengths]
        return Snapshot(time, self._levels(last), (last,))

    @torch.no_grad()
    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        state = self.excitation.step(snapshot.memory[0], at - snapshot.time, types)
        return Snapshot(at, self._levels(state), (state,))

    def _levels(self, states: Tensor) -> Levels:
        amplitude = self.excitation.amplitudes(states)
        return Levels(self.baseline.expand(amplitude.shape[:-1]).clone(), amplitude)
