"""First-order linear recurrences along the leading axis."""

from __future__ import annotations

import torch
from torch import Tensor

from models.no_double_backward import first_order


def linear_recurrence(decay: Tensor, input: Tensor) -> Tensor:
    """Return s_i = decay_i s_{i-1} + input_i with s_{-1} = 0, differentiable in both arguments.

    Memory is linear in l.

    Args:
        decay: (l, ...), of the input's shape or broadcast to it.
        input: (l, ...).

    Returns:
        s (l, ...).

    Example:
        >>> linear_recurrence(torch.full((3,), 0.5), torch.ones(3)).tolist()
        [1.0, 1.5, 1.75]
    """
    return _LinearRecurrence.apply(decay, input)


class _LinearRecurrence(torch.autograd.Function):
    # Each step writes into one buffer, so autograd does not record l small graphs and sum over them later.

    @staticmethod
    def forward(ctx, decay, input):
        states = torch.empty_like(input, memory_format=torch.contiguous_format)
        if len(input):
            states[0] = input[0]
        state = states.unbind()
        for i, (kept, added) in enumerate(zip(decay.unbind()[1:], input.unbind()[1:])):
            torch.addcmul(added, kept, state[i], out=state[i + 1])
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @first_order
    def backward(ctx, grad):
        decay, states = ctx.saved_tensors
        costates = torch.empty_like(states)
        if len(states):
            costates[-1] = grad[-1]
        kept, own_grad, costate = decay.unbind(), grad.unbind(), costates.unbind()
        for i in range(len(states) - 2, -1, -1):
            torch.addcmul(own_grad[i], kept[i + 1], costate[i + 1], out=costate[i])
        grad_decay = None
        if ctx.needs_input_grad[0]:
            grad_decay = torch.zeros_like(states)
            torch.mul(costates[1:], states[:-1], out=grad_decay[1:])
            grad_decay = grad_decay.sum_to_size(decay.shape)
        return grad_decay, costates if ctx.needs_input_grad[1] else None
