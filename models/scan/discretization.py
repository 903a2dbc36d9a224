"""Weight of an event's input by the gap D before it (M3TR appendix B.2.2), exact for any gap and any decay."""

from __future__ import annotations

import torch
from torch import Tensor

from models.no_double_backward import first_order

DISCRETIZATIONS = ("zoh", "euler", "impulse")

# Below this |D A| the derivative of the zero-order hold is summed as a series; its closed form loses digits there.
SERIES_BELOW = 0.05


def bounded_decay(A: Tensor) -> Tensor:
    """Return A, bounded away from 0, so that expm1(D A) / A equals D to rounding where A is 0 or subnormal."""
    return A.clamp(max=-1e-30 if A.dtype == torch.float32 else -1e-200)


def input_weight(delta: Tensor, A: Tensor, discretization: str) -> Tensor:
    """Return the weight w of the input, differentiable in both tensors.

    Args:
        delta: (...) gaps, broadcast against A.
        A: (...) decays.
        discretization: One of `DISCRETIZATIONS`.

    Returns:
        w, of the broadcast shape for "zoh", of delta's shape otherwise.
    """
    if discretization == "zoh":
        return _ZeroOrderHold.apply(delta, A)
    return delta if discretization == "euler" else torch.ones_like(delta)


def zoh_slope(delta: Tensor, A: Tensor, exponent: Tensor, decay: Tensor, weight: Tensor) -> Tensor:
    """Return dw/dA of w = expm1(D A) / A.

    It is (D exp(D A) - w) / A, or D^2 sum_k (k + 1) (D A)^k / (k + 2)! where the first form loses digits.

    Args:
        delta: D.
        A: Decays, from `bounded_decay`.
        exponent: D A.
        decay: exp(D A).
        weight: w.

    Returns:
        The derivative, of the shape of `exponent`.
    """
    terms = 4 if exponent.dtype == torch.float32 else 9
    series = torch.full_like(exponent, terms / _FACTORIAL[terms + 1])
    for k in range(terms - 2, -1, -1):
        series.mul_(exponent).add_((k + 1) / _FACTORIAL[k + 2])
    direct = (delta * decay).sub_(weight).div_(A)
    return torch.where(exponent > -SERIES_BELOW, series.mul_(delta).mul_(delta), direct)


_FACTORIAL = [1, 1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800]


class _ZeroOrderHold(torch.autograd.Function):
    @staticmethod
    def forward(ctx, delta, A):
        A = bounded_decay(A)
        weight = torch.expm1(delta * A) / A
        ctx.save_for_backward(delta, A, weight)
        return weight

    @staticmethod
    @first_order
    def backward(ctx, grad):
        delta, A, weight = ctx.saved_tensors
        exponent = delta * A
        decay = torch.exp(exponent)
        grad_delta = (grad * decay).sum_to_size(delta.shape) if ctx.needs_input_grad[0] else None
        slope = zoh_slope(delta, A, exponent, decay, weight)
        return grad_delta, (grad * slope).sum_to_size(A.shape) if ctx.needs_input_grad[1] else None
