"""Sums of exponentials: the classical, linear part of the intensity (M3TR eq. 1 and appendix C.6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.scan import linear_recurrence


class Excitation(nn.Module):
    """phi_km(t) = sum_r G_kmr delta_kmr exp(-delta_kmr t): what an event of type m adds to type k, t after it.

    G (k, k, r) >= 0 is the kernel's integral, the expected number of direct offspring, so it has no unit of time and
    alpha_kmr = G_kmr delta_kmr; row k is the excited type, column m the exciting one. `decays` exponentials a pair;
    with `shared` the r decay rates are common to all pairs, which makes the state k r numbers rather than k k r.
    """

    def __init__(
        self, num_types: int, *, decays: int = 1, shared: bool = False, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.num_types, self.decays, self.shared = num_types, decays, shared
        pairs = (1, 1) if shared else (num_types, num_types)
        self.branching = nn.Parameter(
            torch.full((num_types, num_types, decays), 0.1 / (num_types * decays), dtype=dtype)
        )
        # Rates a decade apart: as many time scales as there are exponentials.
        rates = -torch.arange(decays, dtype=dtype) * 2.302585092994046
        self.log_rate = nn.Parameter(rates.expand(*pairs, decays).clone())

    @property
    def rate(self) -> Tensor:
        """delta (k, k, r), or (1, 1, r) where shared, per unit of time."""
        return self.log_rate.exp()

    @property
    def jump(self) -> Tensor:
        """alpha = G delta (k, k, r), the height of each exponential, per unit of time."""
        return self.branching * self.rate

    def states(self, gaps: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """Sums of decayed events at every position, just after its event: (b, l + 1, k | 1, k, r).

        gaps (b, l) before each event, types (b, l), mask (b, l).
        """
        rate = self.rate
        decay = torch.exp(-gaps.to(rate).T[:, :, None, None, None] * rate)  # (l, b, k|1, k|1, r)
        events = nn.functional.one_hot(types, self.num_types).to(rate) * mask[..., None].to(rate)
        shape = (*gaps.T.shape, rate.shape[0], self.num_types, self.decays)
        events = events.transpose(0, 1)[:, :, None, :, None].expand(shape)
        states = linear_recurrence(decay, events)
        return (
            torch.cat([torch.zeros_like(states[:1]), states]).transpose(0, 1)
            if len(states)
            else states.new_zeros(len(gaps), 1, *shape[2:])
        )

    def empty(self, rows: int) -> Tensor:
        return self.branching.new_zeros(rows, self.log_rate.shape[0], self.num_types, self.decays)

    def step(self, state: Tensor, gap: Tensor, types: Tensor) -> Tensor:
        """The state (b, k | 1, k, r) after one more event of type `types` (b,), `gap` (b,) after the last."""
        decayed = state * torch.exp(-gap.to(state)[:, None, None, None] * self.rate)
        return decayed + nn.functional.one_hot(types, self.num_types).to(state)[:, None, :, None]

    def amplitudes(self, states: Tensor) -> Tensor:
        """(..., k, j): heights of the exponentials of each type's excitation; they decay at `amplitude_rates`."""
        if self.shared:
            return torch.einsum("...mr,kmr->...kr", states[..., 0, :, :], self.jump)
        return (states * self.jump).flatten(-2)

    def decayed(self, amplitude: Tensor, elapsed: Tensor) -> Tensor:
        """(g, q, k) excitation `elapsed` (g, q) after the event that left the amplitudes (g, k, j)."""
        if self.shared:
            return torch.exp(-elapsed[..., None] * self.rate[0, 0]) @ amplitude.mT
        return (torch.exp(-elapsed[..., None, None] * self.rate.flatten(-2)) * amplitude[:, None]).sum(-1)

    def accumulated(self, amplitude: Tensor, elapsed: Tensor) -> Tensor:
        """(g, k) integral of the excitation from the event to `elapsed` (g,) after it."""
        rate = self.rate[0] if self.shared else self.rate.flatten(-2)
        return (amplitude * (-torch.expm1(-elapsed[:, None, None] * rate) / rate)).sum(-1)

    def influence(self) -> Tensor:
        """(k, k) expected direct offspring of type k (row) of one event of type m (column)."""
        return self.branching.detach().sum(-1)
