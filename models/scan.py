"""The selective state-space scan over irregular gaps (MUFM eq. 9, 10, 42, 43; M3TR appendix B).

    z_i = exp(D_i A) z_{i-1} + w_i B_i x_i          y_i = C_i z_i          z_{-1} = 0

elementwise in the d channels and n states (A is diagonal), with D_i the gap before event i. The input's weight w_i:

    zoh      A^-1 (exp(D_i A) - I): the papers' zero-order hold; an event counts as long as the gap before it
    euler    D_i: what mamba-ssm's fused kernel computes
    impulse  1: an event enters whole at its time, however short the gap before it
"""

from __future__ import annotations

import torch
from torch import Tensor

DISCRETIZATIONS = ("zoh", "euler", "impulse")
BACKENDS = ("auto", "sequential")


def selective_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str = "zoh", backend: str = "auto"
) -> Tensor:
    """Scan x (b, l, d) over the gaps delta (b, l) >= 0 and return y (b, l, d), differentiable in every argument.

    A (d, n), negative, or (1, n) where all channels share their decays; B (b, l, n); C (b, l, n).
    Raises ValueError for shapes that do not fit and for an unknown discretization or backend.
    """
    _check(x, delta, A, B, C, discretization, backend)
    y, _ = _SequentialScan.apply(x, delta, A, B, C, discretization)
    return y


def scan_with_state(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str
) -> tuple[Tensor, Tensor]:
    """`selective_scan` and the state after the last step, z (b, d, n); no gradient flows through the state."""
    _check(x, delta, A, B, C, discretization, "auto")
    return _SequentialScan.apply(x, delta, A, B, C, discretization)


def scan_step(
    z: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str
) -> tuple[Tensor, Tensor]:
    """One step of the scan: state z (b, d, n), x (b, d), delta (b,), B (b, n), C (b, n) -> (y (b, d), new state)."""
    decay, weight = _discretize(delta[:, None, None], A, discretization)
    z = decay * z + weight * (x[:, :, None] * B[:, None, :])
    return torch.einsum("bdn,bn->bd", z, C), z


def linear_recurrence(decay: Tensor, input: Tensor) -> Tensor:
    """s_i = decay_i s_{i-1} + input_i along the first axis, s_{-1} = 0.

    input (l, ...); decay (l, ...) of the same shape or broadcasting to it. Returns s (l, ...). Memory is linear in l.
    """
    return _LinearRecurrence.apply(decay, input)


def _check(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, discretization: str, backend: str) -> None:
    if discretization not in DISCRETIZATIONS:
        raise ValueError(f"discretization {discretization!r}; allowed: {', '.join(DISCRETIZATIONS)}")
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}; allowed: {', '.join(BACKENDS)}")
    if x.ndim != 3 or A.ndim != 2:
        raise ValueError(f"x must be (b, l, d) and A (d, n); given {tuple(x.shape)} and {tuple(A.shape)}")
    b, length, d = x.shape
    n = A.shape[1]
    per_event = (b, length, n)
    if delta.shape != per_event[:2] or A.shape[0] not in (d, 1) or B.shape != per_event or C.shape != per_event:
        raise ValueError(
            f"x (b, l, d) = {tuple(x.shape)} and n = {n} ask for delta {per_event[:2]}, A {(d, n)} or {(1, n)}, B and C "
            f"{per_event}; given delta {tuple(delta.shape)}, A {tuple(A.shape)}, B {tuple(B.shape)}, C {tuple(C.shape)}"
        )


def _discretize(delta: Tensor, A: Tensor, discretization: str) -> tuple[Tensor, Tensor]:
    """decay exp(D A) and input weight w, both broadcasting delta (..., 1, 1) against A (d, n)."""
    exponent = delta * A
    decay = torch.exp(exponent)
    if discretization == "zoh":
        # expm1 keeps A^-1 (exp(D A) - 1) exact for small D A; its limit at D A -> 0 is D.
        tiny = exponent.abs() < torch.finfo(exponent.dtype).eps
        weight = torch.where(tiny, delta, torch.expm1(exponent) / torch.where(tiny, -1.0, A))
    elif discretization == "euler":
        weight = delta
    else:
        weight = torch.ones_like(delta)
    return decay, weight


def _zoh_slope(exponent: Tensor, decay: Tensor, delta: Tensor, A: Tensor) -> Tensor:
    """d/dA of A^-1 (exp(D A) - 1) = D^2 g(D A), g(v) = (v e^v - expm1(v)) / v^2, which cancels for small v."""
    terms = 9 if exponent.dtype == torch.float32 else 16
    series = torch.zeros_like(exponent)
    factorial = [1.0]
    for k in range(1, terms + 3):
        factorial.append(factorial[-1] * k)
    for k in range(terms, -1, -1):  # g(v) = sum_k (k + 1) v^k / (k + 2)!
        series.mul_(exponent).add_((k + 1) / factorial[k + 2])
    near = exponent.abs() < 1.0
    direct = (exponent * decay - torch.expm1(exponent)) / (A * A)
    return torch.where(near, delta * delta * series, direct)


class _SequentialScan(torch.autograd.Function):
    """One pass over time, a (b, d, n) slab a step so that the work of a step stays in the processor's cache."""

    @staticmethod
    def forward(ctx, x, delta, A, B, C, discretization):
        b, length, d = x.shape
        n = A.shape[1]
        states = x.new_empty(length, b, d, n)
        y = x.new_empty(length, b, d)
        z = x.new_zeros(b, d, n)
        for i in range(length):
            decay, weight = _discretize(delta[:, i, None, None], A, discretization)
            drive = x[:, i, :, None] * (weight * B[:, i, None, :])
            z = torch.addcmul(drive, decay, z, out=states[i])
            torch.matmul(z, C[:, i, :, None], out=y[i].unsqueeze(-1))
        ctx.save_for_backward(x, delta, A, B, C, states)
        ctx.discretization = discretization
        final = z.clone()
        ctx.mark_non_differentiable(final)
        return y.transpose(0, 1), final

    @staticmethod
    def backward(ctx, grad_y, _):
        x, delta, A, B, C, states = ctx.saved_tensors
        _, length, d = x.shape
        shared = A.shape[0] == 1 and d > 1
        grad_x, grad_B, grad_C = torch.empty_like(x), torch.empty_like(B), torch.empty_like(C)
        grad_delta, grad_A = torch.zeros_like(delta), torch.zeros_like(A)
        costate = torch.zeros_like(states[0])  # dL/dz_i
        decay = None
        for i in range(length - 1, -1, -1):
            gap, gy = delta[:, i, None, None], grad_y[:, i]
            if decay is not None:
                costate *= decay
            costate += gy[:, :, None] * C[:, i, None, :]
            grad_C[:, i] = torch.matmul(gy[:, None, :], states[i]).squeeze(1)
            decay, weight = _discretize(gap, A, ctx.discretization)
            weighted = costate * weight
            grad_x[:, i] = torch.matmul(weighted, B[:, i, :, None]).squeeze(-1)
            grad_B[:, i] = torch.matmul(x[:, i, None, :], weighted).squeeze(1)
            if not (ctx.needs_input_grad[1] or ctx.needs_input_grad[2]):
                continue
            # dL/d decay and dL/d weight, summed over the channels first where they share A.
            grad_weight = costate * x[:, i, :, None]
            if shared:
                grad_weight = grad_weight.sum(1, keepdim=True)
            grad_weight = grad_weight * B[:, i, None, :]
            grad_exponent = costate * states[i - 1] if i else torch.zeros_like(costate)
            if shared:
                grad_exponent = grad_exponent.sum(1, keepdim=True)
            grad_exponent = grad_exponent * decay
            grad_A += (grad_exponent * gap).sum(0)
            grad_delta[:, i] += (grad_exponent * A).sum((1, 2))
            if ctx.discretization == "zoh":
                grad_A += (grad_weight * _zoh_slope(gap * A, decay, gap, A)).sum(0)
                grad_delta[:, i] += (grad_weight * decay).sum((1, 2))
            elif ctx.discretization == "euler":
                grad_delta[:, i] += grad_weight.sum((1, 2))
        return grad_x, grad_delta, grad_A, grad_B, grad_C, None


class _LinearRecurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, decay, input):
        states = torch.empty_like(input, memory_format=torch.contiguous_format)
        if len(input):
            states[0] = input[0]
        for i in range(1, len(input)):
            torch.addcmul(input[i], decay[i], states[i - 1], out=states[i])
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    def backward(ctx, grad):
        decay, states = ctx.saved_tensors
        costate = torch.empty_like(states)
        if len(states):
            costate[-1] = grad[-1]
        for i in range(len(states) - 2, -1, -1):
            torch.addcmul(grad[i], decay[i + 1], costate[i + 1], out=costate[i])
        grad_decay = None
        if ctx.needs_input_grad[0]:
            grad_decay = torch.zeros_like(states)
            torch.mul(costate[1:], states[:-1], out=grad_decay[1:])
            grad_decay = grad_decay.sum_to_size(decay.shape)
        return grad_decay, costate if ctx.needs_input_grad[1] else None
