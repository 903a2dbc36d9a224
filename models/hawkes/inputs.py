"""What an event brings to the network: its type, the gap before it, and what a person would count by hand.

A selective state space can learn running counts and the age of a sequence, but slowly: docs/process.md has what giving
them saves. All of it is known at the event, nothing later.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.scan import linear_recurrence


class RunningCounts(nn.Module):
    """log(1 + the events of each type so far, each decayed since), at several decay rates: (..., k r) -> (..., hidden).

    rate (r,) per unit of the scaled clock, a buffer that `fit` takes from the data's time scales.
    """

    def __init__(self, num_types: int, scales: int, hidden: int) -> None:
        super().__init__()
        self.num_types = num_types
        self.register_buffer("rate", torch.logspace(1.0, -2.0, scales))
        self.project = nn.Linear(num_types * scales, hidden, bias=False)

    def forward(
        self, types: Tensor, delta: Tensor, mask: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """types (b, l), delta (b, l) scaled gaps, mask (b, l) -> (b, l, hidden) and the last counts (b, k, r).

        before: (b, k, r) the counts to go on from; by default 0. A type outside 0 .. k - 1 (the start token) is not counted.
        """
        kept = torch.exp(-delta.T[:, None, None, :] * self.rate[:, None])  # (l, 1, r, b)
        kinds = torch.arange(self.num_types, device=types.device)[:, None]
        events = ((types.T[:, None] == kinds) & mask.T[:, None]).to(delta)[:, :, None]  # (l, k, 1, b)
        events = events.expand(-1, -1, len(self.rate), -1)
        if before is not None:
            events = torch.cat([events[:1] + kept[:1] * before.permute(1, 2, 0), events[1:]])
        counts = linear_recurrence(kept, events)
        return self._embed(counts.permute(3, 0, 1, 2)), counts[-1].permute(2, 0, 1)

    def step(self, types: Tensor, delta: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """One event: types (b,), delta (b,), counts (b, k, r)."""
        event = functional.one_hot(types, self.num_types).to(delta)[..., None]
        counts = counts * torch.exp(-delta[:, None, None] * self.rate) + event
        return self._embed(counts), counts

    def _embed(self, counts: Tensor) -> Tensor:
        return self.project(torch.log1p(counts).flatten(-2))


class Clock(nn.Module):
    """Sine and cosine of the time since t_start at several periods, so that h may know how old the sequence is.

    Two such encodings make a product that depends on the time between them alone, which a selective state space forms
    by itself (C of one event times B of another): so recurrences are seen too. period (p,) in units of the scaled
    clock, a buffer that `fit` takes from the data.
    """

    def __init__(self, periods: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("period", torch.logspace(math.log10(200.0), math.log10(4.0), periods))
        self.project = nn.Linear(2 * periods, hidden, bias=False)

    def forward(self, time: Tensor) -> Tensor:
        """time (...) -> (..., hidden)."""
        phase = time[..., None] * (2 * math.pi / self.period)
        return self.project(torch.cat([phase.sin(), phase.cos()], dim=-1))
