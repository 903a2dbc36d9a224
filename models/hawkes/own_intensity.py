"""The intensity of each event's own type, for decay rates that all pairs share: what a classical likelihood needs."""

from __future__ import annotations

import torch
from torch import Tensor


def own_intensity(baseline: Tensor, jump: Tensor, rate: Tensor, gaps: Tensor, types: Tensor) -> Tensor:
    """(b, l) mu_k + sum_m sum_r alpha_kmr sum_{j < i, type m} exp(-delta_r (t_i - t_j)), k the type of event i.

    baseline (k,), jump (k, k, r), rate (r,), gaps (b, l) before each event, none of them a tie, types (b, l). An event
    sees those before it in its row, so padding at the row's end sees and changes nothing that counts.
    """
    return _OwnIntensity.apply(baseline, jump, rate, gaps, types)


class _OwnIntensity(torch.autograd.Function):
    # A step works on (k r, b) numbers, which stay in the processor's cache, the sequences along the last axis, where
    # all that is broadcast is contiguous; only the states are written to memory, for the way back.

    @staticmethod
    def forward(ctx, baseline, jump, rate, gaps, types):
        k, _, decays = jump.shape
        b, length = gaps.shape
        gap = gaps.T.to(rate)
        kept = torch.exp(-gap[:, None] * rate[:, None])  # (l, r, b)
        events = (types.T[:, None] == torch.arange(k, device=types.device)[:, None]).to(rate)  # (l, k, b)
        states = rate.new_empty(length, k, decays, b)  # just before each event
        own = rate.new_empty(length, b)
        weights, level = jump.flatten(1), baseline[:, None]
        every, after = rate.new_empty(k, b), rate.new_zeros(k, decays, b)
        for state, event, decay, value in zip(states.unbind(), events.unbind(), kept.unbind(), own.unbind()):
            torch.mul(after, decay, out=state)
            torch.addmm(level, weights, state.view(-1, b), out=every)
            torch.sum(every.mul_(event), 0, out=value)
            torch.add(state, event[:, None], out=after)
        ctx.save_for_backward(jump, gap, kept, events, states)
        return own.T

    @staticmethod
    def backward(ctx, grad):
        jump, gap, kept, events, states = ctx.saved_tensors
        k, decays, b = states.shape[1:]
        weights = jump.flatten(1).T.contiguous()
        grad_jump = torch.zeros_like(weights.T, memory_format=torch.contiguous_format)
        grad_level = jump.new_zeros(k, b)
        by_rate = jump.new_zeros(k, decays, b)
        own = jump.new_empty(k, b)
        costate, work = jump.new_zeros(k, decays, b), jump.new_empty(k, decays, b)  # dL/d state
        steps = list(zip(states.unbind(), events.unbind(), kept.unbind(), gap.unbind(), grad.T.contiguous().unbind()))
        for state, event, decay, since, given in reversed(steps):
            torch.mul(event, given, out=own)
            grad_level += own
            grad_jump.addmm_(own, state.view(-1, b).T)
            costate.view(-1, b).addmm_(weights, own)
            torch.mul(costate, state, out=work)
            by_rate.addcmul_(work, since)
            costate *= decay
        return grad_level.sum(1), grad_jump.view_as(jump), -by_rate.sum((0, 2)), None, None
