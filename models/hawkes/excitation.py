"""Excitation by sums of exponentials: the classical part of the intensity (M3TR eq. 1 and appendix C.6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.events import EventBatch
from models.hawkes.closed_form import expected_offspring, log_own_intensity
from models.hawkes.history import position_before
from models.scan import linear_recurrence


class Excitation(nn.Module):
    """Kernels phi_km(t) = sum_r G_kmr delta_kmr exp(-delta_kmr t).

    phi_km(t) is what an event of type m adds to the intensity of type k, a time t after the event.

    Attributes:
        branching: G (k, k, r) >= 0, the kernels' integrals. G is the expected number of direct offspring, so it has no
            unit of time. Row k is the excited type, column m the exciting type.
        log_rate: log delta, (k, k, r), or (1, 1, r) if shared.
        num_types: k.
        decays: r, the number of exponentials per pair of types.
        shared: Whether all pairs have the same decay rates.
    """

    def __init__(
        self, num_types: int, *, decays: int = 1, shared: bool = False, dtype: torch.dtype = torch.float32
    ) -> None:
        """Create kernels with a branching ratio of 0.1 and rates a decade apart.

        Args:
            num_types: Number k of event types.
            decays: Exponentials per pair of types.
            shared: Whether all pairs have the same decay rates. The state then holds k r numbers instead of k k r.
            dtype: Type of the parameters. On the CPU, float64 uses the compiled loops.
        """
        super().__init__()
        self.num_types, self.decays, self.shared = num_types, decays, shared
        pairs = (1, 1) if shared else (num_types, num_types)
        self.branching = nn.Parameter(
            torch.full((num_types, num_types, decays), 0.1 / (num_types * decays), dtype=dtype)
        )
        # log 10: the rates lie a decade apart
        rates = -torch.arange(decays, dtype=dtype) * 2.302585092994046
        self.log_rate = nn.Parameter(rates.expand(*pairs, decays).clone())

    @property
    def rate(self) -> Tensor:
        """The decay rates delta (k, k, r), or (1, 1, r) if shared, per unit of time."""
        return self.log_rate.exp()

    @property
    def jump(self) -> Tensor:
        """The heights alpha = G delta (k, k, r) of the exponentials, per unit of time."""
        return self.branching * self.rate

    def states(self, gaps: Tensor, types: Tensor, mask: Tensor, before: Tensor | None = None) -> Tensor:
        """Return the sums of decayed events at every position, just after its event.

        Args:
            gaps: (b, l), the gap before each event.
            types: (b, l), the events' types.
            mask: (b, l) bool, True for real events.
            before: (b, k | 1, k, r), the sums at position 0; by default 0.

        Returns:
            (b, l + 1, k, k, r), or (b, l + 1, 1, k, r) if the rates are shared.
        """
        states, _ = self._recur(gaps, types, mask, before)
        first = states.new_zeros(1, *states.shape[1:]) if before is None else before[None]
        return torch.cat([first, states]).transpose(0, 1)

    def slopes(self, gaps: Tensor, mask: Tensor, states: Tensor, before: Tensor | None = None) -> Tensor:
        """Return the derivatives of the states with respect to the log decay rates, at every position.

        Args:
            gaps: (b, l), the gap before each event.
            mask: (b, l) bool, True for real events.
            states: (b, l + 1, k | 1, k, r), as `states` returns them.
            before: (b, k | 1, k, r), the derivatives at position 0; by default 0.

        Returns:
            (b, l + 1, k | 1, k, r).
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
        """Return the log-intensity of each event's own type just before the event.

        Args:
            batch: b sequences, padded to l events.
            baseline: (k,), added to the excitation.
            first: Number of the first event that is scored; earlier events get 0.
            each: Whether to return one number per event or the sum over each row.

        Returns:
            (b, l) with 0 in the padding, or (b, 1) if `each` is False.
        """
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
        """Return the integral (b, k) of the excitation until `end` (b,), which is at or after each row's last event."""
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
        """Return the states (l, b, k | 1, k, r) just before each event, from the events strictly before it."""
        states, decay = self._recur(batch.gaps, batch.types, batch.mask)
        before = torch.cat([torch.zeros_like(states[:1]), decay[1:] * states[:-1]])
        if bool((batch.times.diff(dim=1) == 0).any()):  # all tied events read the state before the first of them
            position = position_before(batch, batch.times).T
            before = before[position, torch.arange(len(batch), device=position.device)]
        return before

    def _recur(self, gaps: Tensor, types: Tensor, mask: Tensor, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the states after each event (l, b, k | 1, k, r), and the decay factors of the gaps before the events."""
        rate = self.rate
        decay = torch.exp(-gaps.T.to(rate)[:, :, None, None, None] * rate)
        kinds = torch.arange(self.num_types, device=types.device)
        events = ((types.T[..., None] == kinds) & mask.T[..., None]).to(rate)
        events = events[:, :, None, :, None].expand(-1, -1, len(rate), -1, self.decays)
        if before is not None and len(events):
            events = torch.cat([events[:1] + decay[:1] * before, events[1:]])
        return linear_recurrence(decay, events), decay

    def step(self, state: Tensor, gap: Tensor, types: Tensor) -> Tensor:
        """Return the state (b, k | 1, k, r) after one more event of type `types` (b,), `gap` (b,) after the last."""
        decayed = state * torch.exp(-gap.to(state)[:, None, None, None] * self.rate)
        return decayed + nn.functional.one_hot(types, self.num_types).to(state)[:, None, :, None]

    def amplitudes(self, states: Tensor) -> Tensor:
        """Return the heights (..., k, j) of the exponentials of each type's excitation, given the states."""
        if self.shared:
            return torch.einsum("...mr,kmr->...kr", states[..., 0, :, :], self.jump)
        return (states * self.jump).flatten(-2)

    def decayed(self, amplitude: Tensor, elapsed: Tensor) -> Tensor:
        """Return the excitation (g, q, k) at `elapsed` (g, q) after an event with amplitudes (g, k, j) just after it."""
        if self.shared:
            return torch.exp(-elapsed[..., None] * self.rate[0, 0]) @ amplitude.mT
        return (torch.exp(-elapsed[..., None, None] * self.rate.flatten(-2)) * amplitude[:, None]).sum(-1)

    def accumulated(self, amplitude: Tensor, elapsed: Tensor) -> Tensor:
        """Return the integral (g, k) of the excitation from the event to `elapsed` (g,) after it."""
        rate = self.rate[0] if self.shared else self.rate.flatten(-2)
        rate = rate.clamp_min(
            torch.finfo(rate.dtype).tiny
        )  # in the limit of rate 0 the integral is height times `elapsed`
        return (amplitude * (-torch.expm1(-elapsed[:, None, None] * rate) / rate)).sum(-1)

    def influence(self) -> Tensor:
        """Return the expected direct offspring (k, k): of type k (row), per event of type m (column)."""
        return self.branching.detach().sum(-1)
