"""Additional network inputs: running counts of the events, and a periodic encoding of the time since t_start.

A selective state space can learn both, but slowly; docs/process.md says what the inputs gain. They use only what is known
at the event.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.scan import linear_recurrence


class RunningCounts(nn.Module):
    """An embedding of log(1 + decayed count) of each type's events so far, at several decay rates.

    Attributes:
        rate: (r,), decay rates per unit of the scaled clock, a buffer. `fit` sets it from the data's time scales.
    """

    def __init__(self, num_types: int, scales: int, hidden: int) -> None:
        """Create the embedding of `num_types` times `scales` counts into `hidden` features."""
        super().__init__()
        self.num_types = num_types
        self.register_buffer("rate", torch.logspace(1.0, -2.0, scales))
        self.project = nn.Linear(num_types * scales, hidden, bias=False)

    def forward(
        self, types: Tensor, delta: Tensor, mask: Tensor, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Embed the running counts at every event.

        Args:
            types: (b, l). A type outside 0 .. k - 1, such as the start token, is not counted.
            delta: (b, l), the scaled gap before each event.
            mask: (b, l) bool, True for real events.
            before: (b, k, r), the counts to continue from; by default 0.

        Returns:
            The embedding (b, l, hidden) and the last counts (b, k, r).
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
        """Process one event per row: types (b,), scaled gaps delta (b,), counts (b, k, r)."""
        event = functional.one_hot(types, self.num_types).to(delta)[..., None]
        counts = counts * torch.exp(-delta[:, None, None] * self.rate) + event
        return self._embed(counts), counts

    def _embed(self, counts: Tensor) -> Tensor:
        return self.project(torch.log1p(counts).flatten(-2))


class Clock(nn.Module):
    """An embedding of the sine and cosine of the time since t_start, at several periods.

    It gives the network the age of the sequence. The product of two such encodings depends only on the time between their
    events. A selective state space forms such products (C of one event times B of another), so it can also detect periodic
    events.

    Attributes:
        period: (p,), in units of the scaled clock, a buffer. `fit` sets it from the data.
    """

    def __init__(self, periods: int, hidden: int) -> None:
        """Create the embedding of `periods` sines and cosines into `hidden` features."""
        super().__init__()
        self.register_buffer("period", torch.logspace(math.log10(200.0), math.log10(4.0), periods))
        self.project = nn.Linear(2 * periods, hidden, bias=False)

    def forward(self, time: Tensor) -> Tensor:
        """Embed the scaled times `time` (...) as (..., hidden)."""
        phase = time[..., None] * (2 * math.pi / self.period)
        return self.project(torch.cat([phase.sin(), phase.cos()], dim=-1))
