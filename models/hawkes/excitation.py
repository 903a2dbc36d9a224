"""Sums of exponentials: the classical, linear part of the intensity (M3TR eq. 1 and appendix C.6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.events import EventBatch
from models.hawkes.closed_form import expected_offspring, log_own_intensity
from models.hawkes.history import position_before
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

    def states(self, gaps: Tensor, types: Tensor, mask: Tensor, before: Tensor | None = None) -> Tensor:
        """Sums of decayed events at every position, just after its event: (b, l + 1, k | 1, k, r).

        Args:
            gaps: (b, l) before each event.
            types: (b, l).
            mask: (b, l).
            before: (b, k | 1, k, r) the sums at position 0; by default 0.
        """
        states, _ = self._recur(gaps, types, mask, before)
        first = states.new_zeros(1, *states.shape[1:]) if before is None else before[None]
        return torch.cat([first, states]).transpose(0, 1)

    def slopes(self, gaps: Tensor, mask: Tensor, states: Tensor, before: Tensor | None = None) -> Tensor:
        """Derivatives of `states` (b, l + 1, k | 1, k, r) by the logarithm of their rates, at every position.

        before: those at position 0; by default 0.
        """
        rate, states = self.rate, states.transpose(0, 1)
        gap = torch.where(mask, gaps, 0.0).T.to(rate)[:, :, None, None, None]
        decay = torch.exp(-gap * rate)
        added = -gap * rate * decay * states[:-1]
        first = torch.zeros_like(states[:1]) if before is None else before[None]
        if len(added):
            added = torch.cat([added[:1] + decay[:1] * first, added[1:]])
        return torch.cat([first, linear_recurrence(decay, added)]).transpose(0, 1)

    def log_at_events(self, batch: EventBatch, baseline: Tensor, *, first: int, each: bool) -> Tensor:
        """Log of baseline (k,) and excitation of each event's own type just before it, from the events before it: (b, l), 0
        before event `first` and in the padding; without `each` (b, 1), the sum over a row."""
        if self._compiled(batch.times):
            return log_own_intensity(baseline, self.jump, self.rate, batch, first=first, each=each)
        before = self._before_events(batch)
        if self.shared:
            every = before.flatten(2) @ self.jump.flatten(1).T
        else:
            every = (before * self.jump).sum((-2, -1))
        own = (baseline + every).gather(2, batch.types.T[..., None]).squeeze(2).T
        counted = batch.mask & (torch.arange(own.shape[1], device=own.device) >= first)
        logs = torch.where(counted, own, 1.0).log()
        return logs if each else logs.sum(1, keepdim=True)

    def _compiled(self, times: Tensor) -> bool:
        return times.device.type == "cpu" and self.branching.dtype == torch.float64

    def offspring(self, batch: EventBatch, end: Tensor) -> Tensor:
        """(b, k) integral until `end` (b,), no earlier than the last event, of the excitation that the events cause."""
        if self._compiled(batch.times):
            return expected_offspring(self.branching, self.rate, batch, end)
        left = torch.where(batch.mask, end[:, None] - batch.times, 0.0).to(self.rate)
        by_source = self.rate.transpose(0, 1).expand(self.num_types, -1, -1)  # (k, k | 1, r)
        share = -torch.expm1(-left[..., None, None] * by_source[batch.types])
        done = share.new_zeros(len(batch), *by_source.shape)
        done = done.scatter_add(1, batch.types[..., None, None].expand_as(share), share)
        if self.shared:
            return torch.einsum("bmr,kmr->bk", done.squeeze(2), self.branching)
        return torch.einsum("bmkr,kmr->bk", done, self.branching)

    def _before_events(self, batch: EventBatch) -> Tensor:
        """(l, b, k | 1, k, r) the states just before each event, of what lies strictly before it."""
        states, decay = self._recur(batch.gaps, batch.types, batch.mask)
        before = torch.cat([torch.zeros_like(states[:1]), decay[1:] * states[:-1]])
        if bool((batch.times.diff(dim=1) == 0).any()):  # the first of a group of ties sees what all of them see
            position = position_before(batch, batch.times).T
            before = before[position, torch.arange(len(batch), device=position.device)]
        return before

    def _recur(self, gaps: Tensor, types: Tensor, mask: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """States after each event (l, b, k | 1, k, r), and the decays over the gaps before them, broadcasting to it."""
        rate = self.rate
        decay = torch.exp(-gaps.T.to(rate)[:, :, None, None, None] * rate)
        kinds = torch.arange(self.num_types, device=types.device)
        events = ((types.T[..., None] == kinds) & mask.T[..., None]).to(rate)
        events = events[:, :, None, :, None].expand(-1, -1, len(rate), -1, self.decays)
        if before is not None and len(events):
            events = torch.cat([events[:1] + decay[:1] * before, events[1:]])
        return linear_recurrence(decay, events), decay

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
        rate = rate.clamp_min(torch.finfo(rate.dtype).tiny)  # what does not decay adds its height times `elapsed`
        return (amplitude * (-torch.expm1(-elapsed[:, None, None] * rate) / rate)).sum(-1)

    def influence(self) -> Tensor:
        """(k, k) expected direct offspring of type k (row) of one event of type m (column)."""
        return self.branching.detach().sum(-1)
