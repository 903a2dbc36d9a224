"""Guard for hand-written first derivatives: a second derivative raises an error instead of giving a wrong result."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make the `backward` of a `torch.autograd.Function` refuse second derivatives.

    PyTorch's `once_differentiable` does not refuse them if the incoming gradient needs no gradient itself, as that of a plain
    sum. A Hessian would then silently lack terms.

    Args:
        backward: The `backward` method, which computes first derivatives.

    Returns:
        The same method; it raises RuntimeError if it runs with `create_graph=True`.
    """

    @wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        if torch.is_grad_enabled():  # in a backward pass this means create_graph=True
            raise RuntimeError(
                "this function has first derivatives only: create_graph=True and Hessians are refused; use finite differences "
                "of the gradient instead"
            )
        return backward(ctx, *grads)

    return once
