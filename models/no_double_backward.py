"""Derivatives written by hand are first derivatives: one that is asked for twice must fail, not come out wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For the `backward` of a `torch.autograd.Function`: RuntimeError where second derivatives are asked for (create_graph).

    PyTorch's `once_differentiable` lets them pass where the gradient that arrives needs none itself, as that of a plain sum:
    a Hessian would then lack terms without a word.
    """

    @wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():  # in a backward pass: it was asked to be differentiable itself
            raise RuntimeError(
                "there are first derivatives only here: create_graph=True and Hessians are refused; take finite differences of "
                "the gradient instead"
            )
        return backward(ctx, *grads)

    return once
