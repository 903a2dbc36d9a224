"""What a classical likelihood needs of sums of exponentials: each event's own intensity, and the offspring it had time for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.hawkes.compiled import chunks_of, completed, own_rates, own_rates_gradient, share_rows


def own_intensity(
    baseline: Tensor, jump: Tensor, rate: Tensor, times: Tensor, types: Tensor, lengths: Tensor
) -> Tensor:
    """(b, l) mu_k + sum_m sum_r alpha_kmr sum_{t_j < t_i, type m} exp(-delta_kmr (t_i - t_j)), k the type of event i.

    baseline (k,), jump (k, k, r), rate (k, k, r) or (1, 1, r), float64 on the CPU; times, types (b, l), lengths (b,);
    0 in the padding. Tied events do not see each other.
    """
    return _OwnIntensity.apply(baseline, jump, rate, times, types, lengths)


def completed_offspring(rate: Tensor, left: Tensor, types: Tensor, num_types: int) -> Tensor:
    """(b, k, r) sum over a row's events of each type of 1 - exp(-delta_r left): the share of its offspring that had time.

    rate (r,) common to all pairs, float64 on the CPU; left (b, l) time to the window's end, 0 in the padding; types (b, l).
    """
    return _CompletedOffspring.apply(rate, left, types, num_types)


class _CompletedOffspring(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rate, left, types, num_types):
        done, lag = (torch.zeros(len(left), num_types, len(rate), dtype=rate.dtype) for _ in range(2))
        parts = [part.detach().contiguous().numpy() for part in (left, types, done, lag)]
        rates = rate.detach().contiguous().numpy()

        def work(rows: slice) -> None:
            left, types, done, lag = (part[rows] for part in parts)
            completed(left, types, rates, done, lag)

        share_rows(len(left), work)
        ctx.save_for_backward(lag)
        return done

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return (grad * ctx.saved_tensors[0]).sum((0, 1)), None, None, None


class _OwnIntensity(torch.autograd.Function):
    # The way back runs the recurrence once more instead of storing it: states are many times larger than the events.

    @staticmethod
    def forward(ctx, baseline, jump, rate, times, types, lengths):
        ctx.save_for_backward(jump, rate, times, types, lengths)
        own = torch.zeros_like(times)
        result, level, decays = own.numpy(), baseline.detach().numpy(), jump.shape[-1]
        events, weights, rates = _flat(jump, rate, times, types, lengths)

        def work(rows: slice) -> None:
            own_rates(*(part[rows] for part in events), decays, level, weights, rates, result[rows])

        share_rows(len(own), work)
        return own

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        jump, rate, *_ = ctx.saved_tensors
        decays = jump.shape[-1]
        events, weights, rates = _flat(*ctx.saved_tensors)
        upstream = grad.contiguous().numpy()
        shapes, chunks = (weights.shape[:1], weights.shape, weights.shape), chunks_of(len(upstream))
        parts = [np.zeros((chunks, *shape)) for shape in shapes]

        def work(rows: slice) -> None:
            into = (part[chunks_of(rows.start) :] for part in parts)
            own_rates_gradient(*(part[rows] for part in events), decays, weights, rates, upstream[rows], *into)

        share_rows(len(upstream), work)
        by_baseline, by_jump, by_rate = (torch.from_numpy(part.sum(0)) for part in parts)
        by_rate = by_rate.view_as(jump).sum_to_size(rate.shape)
        return by_baseline, by_jump.view_as(jump), by_rate, None, None, None


def _flat(jump: Tensor, rate: Tensor, *events: Tensor) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Arrays as the compiled loops want them: times, types and lengths; jump (k, k r); rate (1, r) or (k, k r)."""
    weights, rates = (part.detach().contiguous().flatten(1).numpy() for part in (jump, rate))
    return [part.contiguous().numpy() for part in events], weights, rates
