"""The link between the argument of M3TR eq. 1 (MUFM eq. 46) and an intensity: softplus with a softness beta a type."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.no_double_backward import first_order

EXACT_ABOVE = 40.0  # where softplus(x) = x to the last digit of float64; PyTorch's own switch at 20 costs 1e-10


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), to the last digits also above 20."""
    return functional.softplus(x, threshold=EXACT_ABOVE)


def soft_link(argument: Tensor, softness: Tensor) -> Tensor:
    """beta log(1 + exp(v / beta)): argument (..., k), softness (k,); differentiable in both."""
    return _SoftLink.apply(argument, softness)


def log_soft_link(argument: Tensor, log_softness: Tensor) -> Tensor:
    """Its logarithm, also where the link itself underflows: argument and log_softness broadcast."""
    scaled = argument / log_softness.exp()
    # log softplus(v) = v to rounding for v < -20, where softplus itself would lose its gradient and then underflow.
    low = scaled < -20
    return torch.where(low, scaled, softplus(scaled.clamp_min(-20)).log()) + log_softness


class _SoftLink(torch.autograd.Function):
    @staticmethod
    def forward(ctx, argument, softness):
        scaled = argument / softness
        value = softplus(scaled).mul_(softness)
        ctx.save_for_backward(scaled, value, softness)
        return value

    @staticmethod
    @first_order
    def backward(ctx, grad):
        scaled, value, softness = ctx.saved_tensors
        grad_argument = torch.sigmoid(scaled).mul_(grad)
        grad_softness = None
        if ctx.needs_input_grad[1]:
            # d (beta softplus(v / beta)) / d beta = softplus(x) - x sigmoid(x), x = v / beta
            grad_softness = (grad * value).sum_to_size(softness.shape) / softness
            grad_softness = grad_softness - (grad_argument * scaled).sum_to_size(softness.shape)
        return grad_argument, grad_softness
