"""Integrals of the intensity over a gap: Gauss-Legendre to a stated tolerance, or the dilogarithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.hawkes.link import softplus

MAX_STRETCHES = 256  # a gap, on average: an integrand that needs more is no intensity
MAX_GRADING = 4.0  # of a stretch: log of the ratio of its longest to its shortest scale


@lru_cache
def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def legendre(count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = _nodes(count)
    return torch.as_tensor(nodes).to(like), torch.as_tensor(weights).to(like)


def integrate(
    rate: Callable[[Tensor, Tensor], Tensor], length: Tensor, fastest: Tensor, *, nodes: int, tolerance: float | None
) -> Tensor:
    """Integral of rate(rows, elapsed) over elapsed in [0, length], for each of g gaps: (g, k).

    rate takes rows (p,) int64 and elapsed (p, q) and returns (p, q, k). length (g,); fastest () is the largest decay
    rate: nodes are graded towards the gap's start, t = L expm1(c s) / expm1(c), c = log(1 + fastest L), so that a
    decay much shorter than the gap is resolved. With a `tolerance`, stretches whose 2 `nodes`-point value differs from
    the `nodes`-point one by more than tolerance relative to the gap's integral are halved until none does; without
    (training) one rule of `nodes` points is taken as it is.
    """
    grading = _grading(length, fastest)

    def rule(rows: Tensor, low: Tensor, width: Tensor, count: int) -> Tensor:
        at, weight = _graded(length[rows], grading[rows], low, width, count)
        return torch.einsum("pqk,pq->pk", rate(rows, at), weight)

    rows = torch.arange(len(length), device=length.device)
    low, width = torch.zeros_like(length), torch.ones_like(length)
    if tolerance is None:
        return rule(rows, low, width, nodes)
    total, whole = None, None
    while len(rows) <= MAX_STRETCHES * len(length):
        coarse, fine = rule(rows, low, width, nodes), rule(rows, low, width, 2 * nodes)
        if total is None:
            total, whole = torch.zeros_like(fine), fine.detach()
        # A float32 integrand cannot be asked for more digits than it carries.
        floor = 8 * torch.finfo(fine.dtype).eps
        rough = ((fine - coarse).abs() > max(tolerance, floor) * whole[rows].abs()).any(-1)
        # Two rules that are both too coarse for a spike can agree by chance, so a stretch must also span few decays.
        rough |= grading[rows] * width > MAX_GRADING
        total = total.index_add(0, rows[~rough], fine[~rough])
        if not bool(rough.any()):
            return total
        rows, width = rows[rough].repeat(2), (width[rough] / 2).repeat(2)
        low = low[rough].repeat(2)
        low[len(low) // 2 :] += width[len(low) // 2 :]
    raise ArithmeticError(f"an integral of the intensity did not reach the tolerance {tolerance}")


def graded_nodes(length: Tensor, fastest: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (g, count) of one graded rule over each gap: see `integrate`."""
    zero = torch.zeros_like(length)
    return _graded(length, _grading(length, fastest), zero, zero + 1, count)


def _grading(length: Tensor, fastest: Tensor) -> Tensor:
    return torch.log1p(fastest.detach().to(length) * length).clamp_min(1e-6)


def _graded(length: Tensor, grading: Tensor, low: Tensor, width: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights (p, count) for the stretch [low, low + width] of [0, 1], mapped to gaps (p,)."""
    points, weights = legendre(count, length)
    exponent = grading[:, None] * (low[:, None] + width[:, None] * points)
    scale = (length / torch.expm1(grading))[:, None]
    return scale * torch.expm1(exponent), scale * (grading * width)[:, None] * torch.exp(exponent) * weights


def integrate_decaying(
    base: Tensor, amplitude: Tensor, rate: Tensor, softness: Tensor, length: Tensor, *, nodes: int
) -> Tensor:
    """Integral of the soft link of base + sum_r amplitude_r exp(-rate_r t) over [0, length]: (g, k), for training.

    base (g, k), amplitude (g, k, r), rate (r,), softness (k,), length (g,). One graded rule of `nodes` points, as
    `integrate` takes without a tolerance, with its gradients written out: by autograd each step costs three times this.
    """
    return _DecayingIntegral.apply(base, amplitude, rate, softness, length, nodes)


class _DecayingIntegral(torch.autograd.Function):
    @staticmethod
    def forward(ctx, base, amplitude, rate, softness, length, nodes):
        at, weight = graded_nodes(length, rate.max(), nodes)
        decay = torch.exp(-at[..., None] * rate)  # (g, q, r)
        scaled = torch.baddbmm(base[:, :, None], amplitude, decay.mT).div_(softness[:, None])  # (g, k, q)
        value = (softplus(scaled) @ weight[..., None]).squeeze(-1) * softness
        ctx.save_for_backward(amplitude, softness, at, weight, decay, scaled, value)
        return value

    @staticmethod
    def backward(ctx, grad):
        amplitude, softness, at, weight, decay, scaled, value = ctx.saved_tensors
        inner = torch.sigmoid(scaled).mul_(weight[:, None]).mul_(grad[..., None])  # dL/d argument (g, k, q)
        grad_softness = None
        if ctx.needs_input_grad[3]:
            grad_softness = (grad * value).sum(0) / softness - (inner * scaled).sum((0, 2))
        by_decay = (inner.mT @ amplitude).mul_(decay).mul_(at[..., None])
        return inner.sum(2), inner @ decay, -by_decay.sum((0, 1)), grad_softness, None, None


class _SoftplusIntegral(torch.autograd.Function):
    """F(x) = integral of softplus from -inf to x = -Li2(-e^x)."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        # Li2(z) = sum_n B_n u^(n+1) / (n+1)!, u = -log(1 - z): for z = -e^-|x|, |u| <= log 2 and the series is short.
        u = -torch.log1p(torch.exp(-x.abs()))
        square = u * u
        tail = torch.zeros_like(u)
        for k in range(len(_BERNOULLI) - 1, -1, -1):
            tail = tail * square + _BERNOULLI[k]
        below = -(u - square / 4 + u * square * tail)
        return torch.where(x > 0, x * x / 2 + math.pi**2 / 6 - below, below)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * softplus(x)


# B_2k / (2k + 1)!, k = 1, 2, ...
_BERNOULLI = [
    numerator / denominator / math.factorial(2 * k + 1)
    for k, (numerator, denominator) in enumerate(
        [(1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510)], start=1
    )
]


def softplus_line_integral(start: Tensor, slope: Tensor, length: Tensor) -> Tensor:
    """Integral of softplus(start + slope t) over t in [0, length], elementwise and in closed form (MUFM eq. 46, 47).

    (F(start + slope length) - F(start)) / slope with the dilogarithm F; where that difference would cancel, the
    mean of softplus over the short stretch by an eight-point rule, exact there to rounding.
    """
    rise = slope * length
    short = rise.abs() < 0.5
    divisor = torch.where(short, 1.0, slope)
    closed = (_SoftplusIntegral.apply(start + rise) - _SoftplusIntegral.apply(start)) / divisor
    points, weights = legendre(8, start)
    mean = (softplus(start[..., None] + torch.where(short, rise, 0.0)[..., None] * points) * weights).sum(-1)
    return torch.where(short, mean * length, closed)
