"""The link function of M3TR eq. 1 and MUFM eq. 46: softplus with one softness beta per type."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from models.no_double_backward import first_order

# Above this, softplus(x) = x to the last digit of float64. PyTorch's default of 20 has an error of about 1e-10.
EXACT_ABOVE = 40.0


def softplus(x: Tensor) -> Tensor:
    """Return log(1 + e^x), accurate to the last digits also above 20."""
    return functional.softplus(x, threshold=EXACT_ABOVE)


def soft_link(argument: Tensor, softness: Tensor) -> Tensor:
    """Return beta log(1 + exp(v / beta)), differentiable once in both arguments.

    Args:
        argument: v (..., k).
        softness: beta (k,), positive.

    Returns:
        (..., k).
    """
    return _SoftLink.apply(argument, softness)


def log_soft_link(argument: Tensor, log_softness: Tensor) -> Tensor:
    """Return the logarithm of `soft_link`, also where the link itself underflows; the arguments broadcast."""
    scaled = argument / log_softness.exp()
    # For v < -20, log softplus(v) = v to rounding, while softplus itself would lose its gradient and then underflow.
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
