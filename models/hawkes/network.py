"""The Mamba network that turns the events so far into the state h (M3TR section 3.2.1; MUFM eq. 42 to 44)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.hawkes.inputs import Clock, RunningCounts
from models.scan import scan_step, scan_with_state


class MambaLayer(nn.Module):
    """A Mamba block whose step sizes are the gaps: x + out(norm(scan(v) + D v) * silu(gate)).

    Mamba learns its step sizes from the input. Here they are the times between events, neither squashed nor clamped
    (MUFM algorithm 1), so they need no softplus and no projection. There is no convolution, because it ignores time.
    """

    def __init__(self, hidden: int, state: int, *, discretization: str, dropout: float) -> None:
        """Create a layer.

        Args:
            hidden: Width d.
            state: States n per channel.
            discretization: "zoh", "euler" or "impulse"; see `models.scan`.
            dropout: Dropout rate of the layer's output.
        """
        super().__init__()
        self.discretization = discretization
        self.norm = nn.RMSNorm(hidden, eps=1e-5)
        self.project_in = nn.Linear(hidden, 2 * hidden, bias=False)
        self.project_B = nn.Linear(hidden, state)
        self.project_C = nn.Linear(hidden, state)
        # Decay rates from 1e-3 to 10 per unit of the scaled clock. As in MUFM, A is common to all channels.
        self.log_rate = nn.Parameter(torch.linspace(math.log(1e-3), math.log(10.0), state)[None, :])
        self.skip = nn.Parameter(torch.ones(hidden))
        self.norm_scan = nn.RMSNorm(hidden, eps=1e-5)
        self.project_out = nn.Linear(hidden, hidden, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, delta: Tensor, mask: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Apply the layer to whole sequences.

        Args:
            x: (b, l, d).
            delta: (b, l), the scaled gap before each event.
            mask: (b, l) bool, True for real events.
            before: (b, n, d), the state to continue from; by default 0.

        Returns:
            The output (b, l, d) and the last state (b, n, d).
        """
        v, gate = self.project_in(self.norm(x)).chunk(2, dim=-1)
        v = functional.silu(v) * mask[..., None]  # padding adds nothing to the state
        y, state = scan_with_state(
            v, delta, -self.log_rate.exp(), self.project_B(v), self.project_C(v),
            discretization=self.discretization, state=before,
        )  # fmt: skip
        return self._combine(x, v, y, gate), state

    def step(self, x: Tensor, delta: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the layer to one event per row: x (b, d), delta (b,), state (b, n, d)."""
        v, gate = self.project_in(self.norm(x)).chunk(2, dim=-1)
        v = functional.silu(v)
        y, state = scan_step(
            state,
            v,
            delta,
            -self.log_rate.exp(),
            self.project_B(v),
            self.project_C(v),
            discretization=self.discretization,
        )
        return self._combine(x, v, y, gate), state

    def _combine(self, x: Tensor, v: Tensor, y: Tensor, gate: Tensor) -> Tensor:
        return x + self.dropout(self.project_out(self.norm_scan(y + self.skip * v) * functional.silu(gate)))


class NetworkMemory(NamedTuple):
    """What the network needs to continue in the middle of a sequence.

    Attributes:
        types: (b,), type of the last event so far.
        gaps: (b,), the scaled gap before that event.
        states: The states that `MambaNetwork.forward` returned just before that event.
    """

    types: Tensor
    gaps: Tensor
    states: tuple[Tensor, ...]


class MambaNetwork(nn.Module):
    """The network that computes the state h before the first event and after every event.

    Each sequence begins with a start token at t_start, so that position 0 (no event yet) has a state too. A part of a
    longer sequence begins with the event before it.
    """

    def __init__(
        self,
        num_types: int,
        *,
        hidden: int,
        state: int,
        layers: int,
        discretization: str,
        dropout: float,
        log_gaps: bool,
        count_scales: int,
        clock_periods: int,
    ) -> None:
        """Create a network; the arguments are those of `MambaHawkesProcess`, `discretization` is its `input_rule`."""
        super().__init__()
        self.hidden, self.state, self.start_token = hidden, state, num_types
        self.embedding = nn.Embedding(num_types + 1, hidden)
        self.gap_embedding = nn.Linear(2, hidden, bias=False) if log_gaps else None
        self.counts = RunningCounts(num_types, count_scales, hidden) if count_scales else None
        self.clock = Clock(clock_periods, hidden) if clock_periods else None
        self.layers = nn.ModuleList(
            MambaLayer(hidden, state, discretization=discretization, dropout=dropout) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)  # of the embedding and before the read-out; the layers have their own
        self.norm = nn.RMSNorm(hidden, eps=1e-5)
        self.widen = nn.Linear(hidden, 2 * hidden)
        self.narrow = nn.Linear(2 * hidden, hidden)

    def forward(
        self, types: Tensor, delta: Tensor, mask: Tensor, memory: NetworkMemory | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Compute h at every position.

        Args:
            types: (b, l), the events' types.
            delta: (b, l), the scaled gap before each event.
            mask: (b, l) bool, True for real events.
            memory: Where to continue from in a longer sequence; None at the sequence's start.

        Returns:
            h (b, l + 1, hidden), and the states for `step`: one per layer, then the running counts and the time if used.
        """
        start = types.new_full((len(types), 1), self.start_token)
        opening = start if memory is None else memory.types[:, None]
        types = torch.cat([opening, torch.where(mask, types, self.start_token)], dim=1)
        delta = torch.cat([delta.new_zeros(len(delta), 1) if memory is None else memory.gaps[:, None], delta], dim=1)
        mask = torch.cat([torch.ones_like(start, dtype=torch.bool), mask], dim=1)
        depth = len(self.layers)
        before = [None] * depth if memory is None else memory.states[:depth]
        extra = [None, None] if memory is None else memory.states[depth:]
        x, after = self._embed(types, delta), []
        if self.counts is not None:
            counted, counts = self.counts(types, delta, mask, extra[0])
            x = x + counted
            after.append(counts)
        if self.clock is not None:
            time = delta.cumsum(1)  # a padded gap is 0
            if memory is not None:
                time = time + extra[-1][:, None]
            x = x + self.clock(time)
            after.append(time[:, -1])
        x, states = self.dropout(x), []
        for layer, earlier in zip(self.layers, before):
            x, state = layer(x, delta, mask, earlier)
            states.append(state)
        return self._read_out(x), (*states, *after)

    def step(self, types: Tensor, delta: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Process one event per row: types (b,), delta (b,), `states` as `forward` or `step` returned them."""
        x, after, new = self._embed(types, delta), list(states[len(self.layers) :]), []
        if self.counts is not None:
            counted, after[0] = self.counts.step(types, delta, after[0])
            x = x + counted
        if self.clock is not None:
            after[-1] = after[-1] + delta
            x = x + self.clock(after[-1])
        for layer, state in zip(self.layers, states):
            x, state = layer.step(x, delta, state)
            new.append(state)
        return self._read_out(x), (*new, *after)

    def _embed(self, types: Tensor, delta: Tensor) -> Tensor:
        x = self.embedding(types)
        if self.gap_embedding is not None:
            # Two scales of the gap: the second resolves short gaps and ties, the first long gaps.
            x = x + self.gap_embedding(torch.stack([torch.log1p(delta), torch.log1p(1000 * delta)], dim=-1))
        return x

    def _read_out(self, x: Tensor) -> Tensor:
        return self.narrow(self.dropout(torch.relu(self.widen(self.norm(x)))))  # MUFM eq. 44
