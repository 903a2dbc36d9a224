"""Integrals of the intensity over gaps: adaptive Gauss-Kronrod, fixed Gauss-Legendre, and a closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from models.hawkes.link import softplus
from models.no_double_backward import first_order

MAX_STRETCHES = 256  # average stretches per gap after which the integral is given up; no intensity needs so many
MAX_GRADING = 4.0  # largest log of the ratio of a stretch's longest to its shortest time scale
SAFETY = 1000.0  # safety factor of the error estimate; QUADPACK uses 200
NEGLIGIBLE = 1e-9  # a type with less than this share of all types' integral needs no relative accuracy
STRETCHES_AT_ONCE = 1024  # stretches per batch, so that their nodes fit into the processor's cache


@lru_cache
def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def legendre(count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return `count` Gauss-Legendre nodes and weights on [0, 1], (count,) each, in the dtype and device of `like`."""
    nodes, weights = _nodes(count)
    return torch.as_tensor(nodes).to(like), torch.as_tensor(weights).to(like)


def integrate(rate: Callable[[Tensor, Tensor], Tensor], length: Tensor, fastest: Tensor, *, tolerance: float) -> Tensor:
    """Integrate an intensity over g gaps, adaptively.

    The nodes are graded towards the gap's start, t = L expm1(c s) / expm1(c) with c = log(1 + fastest L), so that a decay
    much shorter than the gap is resolved. Each gap is cut into stretches that span few decays. A stretch is halved while
    the error of its 15-point Kronrod value may exceed `tolerance` relative to the gap's integral. The error is estimated
    from the distance to the 7-point Gauss value.

    A gap without end has an infinite integral, because the intensity tends to a limit above 0.

    Args:
        rate: The intensity. It takes gap numbers (p,) int64 and elapsed times (p, q), and returns (p, q, k).
        length: (g,), the gaps' lengths; may be infinite.
        fastest: (), the largest decay rate.
        tolerance: Relative tolerance of each gap's integral.

    Returns:
        (g, k), the integral of rate(row, t) over t in [0, length].

    Raises:
        ArithmeticError: If the tolerance is not reached with 256 stretches per gap.
    """
    endless = torch.isinf(length)
    length = torch.where(endless, 0.0, length)
    grading = _grading(length, fastest)
    # Two rules that are both too coarse for a spike can agree by chance. So a stretch must span few decays.
    pieces = (grading / MAX_GRADING).ceil().clamp_min(1).long()
    rows = torch.arange(len(length), device=length.device).repeat_interleave(pieces)
    width = (1 / pieces.to(length))[rows]
    low = (torch.arange(len(rows), device=length.device) - (pieces.cumsum(0) - pieces)[rows]) * width
    points, gauss, kronrod = (part.to(length) for part in _kronrod())

    def estimate(rows: Tensor, low: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Return the Kronrod value (p, k) and its distance from the Gauss value."""
        fine, error = [], []
        for part in torch.arange(len(rows), device=length.device).split(STRETCHES_AT_ONCE):
            here = rows[part]
            at, jacobian = _graded(length[here], grading[here], low[part], width[part], points)
            values = rate(here, at) * jacobian[..., None]
            fine.append(torch.einsum("pqk,q->pk", values, kronrod.to(values)))
            with torch.no_grad():
                error.append((fine[-1] - torch.einsum("pqk,q->pk", values, gauss.to(values))).abs())
        return torch.cat(fine), torch.cat(error)

    total, whole = None, None
    while len(rows) <= MAX_STRETCHES * len(length):
        if len(rows) == 0:
            return rate(rows, low[:, None]).sum(1) if total is None else torch.where(endless[:, None], torch.inf, total)
        fine, error = estimate(rows, low, width)
        if total is None:
            total = fine.new_zeros(len(length), fine.shape[1])
            whole = total.index_add(0, rows, fine.detach()).abs()
            # Lower bound of the reference value. Rounding alone would keep values near underflow, and types that add next to
            # nothing to the others, from ever reaching the tolerance.
            tiny = torch.finfo(fine.dtype).tiny / torch.finfo(fine.dtype).eps
            whole = torch.maximum(whole, NEGLIGIBLE * whole.sum(-1, keepdim=True)).clamp_min(tiny)
        # The distance estimates the error of the Gauss value. The Kronrod value is exact to degree 22 instead of 13 and has
        # half as many correct digits more (hence the power 2/3). Near a kink, where a high excitation falls below its
        # softness, both are equally wrong (hence the safety factor). The tolerance cannot be below the dtype's precision.
        allowed = max(tolerance ** (2 / 3) / SAFETY, 8 * torch.finfo(fine.dtype).eps)
        rough = (error > allowed * whole[rows]).any(-1)
        total = total.index_add(0, rows[~rough], fine[~rough])
        rows, width = rows[rough].repeat(2), (width[rough] / 2).repeat(2)
        low = low[rough].repeat(2)
        low[len(low) // 2 :] += width[len(low) // 2 :]
    raise ArithmeticError(
        f"an integral of the intensity did not reach the tolerance {tolerance} with {MAX_STRETCHES} stretches per gap; "
        "pass a larger `tolerance` to the process"
    )


def fixed_rule(rate: Callable[[Tensor, Tensor], Tensor], length: Tensor, fastest: Tensor, *, nodes: int) -> Tensor:
    """Integrate an intensity by one graded Gauss-Legendre rule per gap, for training.

    Args:
        rate: The intensity; see `integrate`.
        length: (g,), the gaps' lengths; finite.
        fastest: (), the largest decay rate.
        nodes: Nodes per gap.

    Returns:
        (g, k).
    """
    at, weight = graded_nodes(length, fastest, nodes)
    return torch.einsum("pqk,pq->pk", rate(torch.arange(len(length), device=length.device), at), weight)


def graded_nodes(length: Tensor, fastest: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return nodes and weights (g, count) of one graded Gauss-Legendre rule per gap; see `integrate`."""
    zero = torch.zeros_like(length)
    points, weights = legendre(count, length)
    at, jacobian = _graded(length, _grading(length, fastest), zero, zero + 1, points)
    return at, jacobian * weights


def _grading(length: Tensor, fastest: Tensor) -> Tensor:
    return torch.log1p(fastest.detach().to(length) * length).clamp_min(1e-6)


def _graded(length: Tensor, grading: Tensor, low: Tensor, width: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Map `points` (q,) of the stretch [low, low + width] of [0, 1] to times; return the times and dt/ds, (p, q) each."""
    exponent = grading[:, None] * (low[:, None] + width[:, None] * points)
    scale = (length / torch.expm1(grading))[:, None]
    return scale * torch.expm1(exponent), scale * (grading * width)[:, None] * torch.exp(exponent)


@lru_cache
def _kronrod() -> tuple[Tensor, Tensor, Tensor]:
    """Return 15 nodes on [0, 1] and the weights of the 7-point Gauss rule (0 elsewhere) and the Kronrod rule."""
    half = torch.tensor(_KRONROD, dtype=torch.float64)
    points, kronrod, gauss = torch.cat([half, half[:-1].flip(0) * torch.tensor([-1.0, 1.0, 1.0])]).T
    return (points + 1) / 2, gauss / 2, kronrod / 2


# Node in [-1, 1], Kronrod weight, Gauss weight: QUADPACK's qk15 (Piessens et al. 1983).
_KRONROD = [
    (0.991455371120812639206854697526329, 0.022935322010529224963732008058970, 0.0),
    (0.949107912342758524526189684047851, 0.063092092629978553290700663189204, 0.129484966168869693270611432679082),
    (0.864864423359769072789712788640926, 0.104790010322250183839876322541518, 0.0),
    (0.741531185599394439863864773280788, 0.140653259715525918745189590510238, 0.279705391489276667901467771423780),
    (0.586087235467691130294144838258730, 0.169004726639267902826583426598550, 0.0),
    (0.405845151377397166906606412076961, 0.190350578064785409913256402421014, 0.381830050505118944950369775488975),
    (0.207784955007898467600689403773245, 0.204432940075298892414161999234649, 0.0),
    (0.0, 0.209482141084727828012999174891714, 0.417959183673469387755102040816327),
]


def integrate_decaying(
    base: Tensor, amplitude: Tensor, rate: Tensor, softness: Tensor, length: Tensor, *, nodes: int
) -> Tensor:
    """Integrate the soft link of base + sum_r amplitude_r exp(-rate_r t) over [0, length], for training.

    It is `fixed_rule` with explicit gradients; autograd makes a training step three times as slow.

    Args:
        base: (g, k).
        amplitude: (g, k, r).
        rate: (r,), decay rates.
        softness: (k,).
        length: (g,), the gaps' lengths; finite.
        nodes: Nodes per gap.

    Returns:
        (g, k).
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
    @first_order
    def backward(ctx, grad):
        amplitude, softness, at, weight, decay, scaled, value = ctx.saved_tensors
        inner = torch.sigmoid(scaled).mul_(weight[:, None]).mul_(grad[..., None])  # dL/d argument (g, k, q)
        grad_softness = None
        if ctx.needs_input_grad[3]:
            grad_softness = (grad * value).sum(0) / softness - (inner * scaled).sum((0, 2))
        by_decay = (inner.mT @ amplitude).mul_(decay).mul_(at[..., None])
        return inner.sum(2), inner @ decay, -by_decay.sum((0, 1)), grad_softness, None, None


class _SoftplusIntegral(torch.autograd.Function):
    """F(x) = -Li2(-e^x), the integral of softplus from -inf to x."""

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
    """Integrate softplus(start + slope t) over t in [0, length] in closed form, elementwise (MUFM eq. 46, 47).

    The value is (F(start + slope length) - F(start)) / slope with F(x) = -Li2(-e^x). Where that difference would cancel,
    an eight-point Gauss rule is used, which is exact to rounding there.

    Args:
        start: Argument of softplus at t = 0.
        slope: Slope of the argument.
        length: Length of the interval; may be infinite.

    Returns:
        The integral, in the common shape of the arguments.
    """
    rise = torch.where(slope == 0, 0.0, slope * length)  # a gap may be infinite
    short = rise.abs() < 0.5
    divisor = torch.where(short, 1.0, slope)
    closed = (_SoftplusIntegral.apply(start + rise) - _SoftplusIntegral.apply(start)) / divisor
    points, weights = legendre(8, start)
    mean = (softplus(start[..., None] + torch.where(short, rise, 0.0)[..., None] * points) * weights).sum(-1)
    return torch.where(short, mean * length, closed)
