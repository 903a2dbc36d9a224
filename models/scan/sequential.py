"""Scan with one step per event, for all sequences, states and channels at once."""

from __future__ import annotations

import torch
from torch import Tensor

from models.no_double_backward import first_order
from models.scan.discretization import bounded_decay, zoh_slope

_LOG2_E = 1.4426950408889634


def sequential_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, z: Tensor, discretization: str
) -> tuple[Tensor, Tensor]:
    """Scan sequences event by event, without checks.

    Args:
        x: (b, l, d) inputs.
        delta: (b, l) gaps.
        A: (d, n) or (1, n) decays.
        B: (b, l, n) input projections.
        C: (b, l, n) output projections.
        z: (b, n, d) state before the first event.
        discretization: "zoh", "euler" or "impulse".

    Returns:
        y (b, l, d), and the state after the last event (b, n, d).
    """
    return _SequentialScan.apply(x, delta, A, B, C, z, discretization)


class _SequentialScan(torch.autograd.Function):
    # A step works on one (b, n, d) slab, which stays in the processor's cache. Autograd's own graph over the whole sequence
    # would move a dozen tensors of l such slabs through memory. The backward pass computes the decays again.

    @staticmethod
    def forward(ctx, x, delta, A, B, C, z, discretization):
        b, length, d = x.shape
        states = x.new_empty(length + 1, b, A.shape[1], d)
        states[0] = z
        state = states.unbind()
        y = x.new_empty(length, b, 1, d)
        slab = _Slab(b, A, discretization)
        for i, (gap, xi, Bi, Ci) in enumerate(zip(*_by_step(delta, rows=(x,), columns=(B, C)))):
            decay, weight = slab.step(gap)
            torch.mul(weight * Bi, xi, out=state[i + 1])
            state[i + 1].addcmul_(decay, state[i])
            torch.bmm(Ci.mT, state[i + 1], out=y[i])
        ctx.save_for_backward(x, delta, A, B, C, states)
        ctx.discretization = discretization
        return y.squeeze(2).transpose(0, 1), states[-1].clone()

    @staticmethod
    @first_order
    def backward(ctx, grad_y, grad_last):
        x, delta, A, B, C, states = ctx.saved_tensors
        b, length, d = x.shape
        shared = A.shape[0] == 1 and d > 1
        slab = _Slab(b, A, ctx.discretization)
        grad_x = x.new_empty(length, b, 1, d)
        grad_B, grad_C = (x.new_empty(length, b, A.shape[1], 1) for _ in range(2))
        grad_delta = delta.new_zeros(length, b)
        grad_A = torch.zeros_like(A, dtype=torch.float64)  # float32 is too imprecise for a sum over all events
        state = states.unbind()
        costate = grad_last.clone(memory_format=torch.contiguous_format)  # dL/dz_i
        weighted, work = torch.empty_like(costate), torch.empty_like(costate)
        steps = list(zip(*_by_step(delta, rows=(x, grad_y), columns=(B, C))))
        for i in range(length - 1, -1, -1):
            gap, xi, gy, Bi, Ci = steps[i]
            costate.addcmul_(Ci, gy)
            torch.bmm(state[i + 1], gy.mT, out=grad_C[i])
            decay, weight = slab.step(gap)
            torch.mul(costate, weight, out=weighted)
            torch.bmm(Bi.mT, weighted, out=grad_x[i])
            torch.bmm(weighted, xi.mT, out=grad_B[i])
            if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
                torch.mul(costate, state[i], out=work)
                by_decay = work.sum(2, keepdim=True) if shared else work.clone()
                torch.mul(costate, xi, out=work)
                by_weight = (work.sum(2, keepdim=True) if shared else work) * Bi
                slab.backward(gap, by_decay, by_weight, grad_A, grad_delta[i])
            costate.mul_(decay)
        return (
            grad_x.squeeze(2).transpose(0, 1),
            grad_delta.T,
            grad_A.to(A),
            grad_B.squeeze(3).transpose(0, 1),
            grad_C.squeeze(3).transpose(0, 1),
            costate,
            None,
        )


def _by_step(delta: Tensor, *, rows: tuple[Tensor, ...], columns: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    """Split tensors by event, in shapes that broadcast against (b, n, d).

    Gaps become (b, 1, 1), rows (b, 1, d), columns (b, n, 1).
    """
    gaps = delta.T.contiguous()[:, :, None, None]
    rows = [part.transpose(0, 1).contiguous()[:, :, None, :] for part in rows]
    columns = [part.transpose(0, 1).contiguous()[:, :, :, None] for part in columns]
    return [part.unbind() for part in (gaps, *rows, *columns)]


class _Slab:
    """Decay and input weight of one step, each broadcast to (b, n, d). The next step overwrites their buffers."""

    def __init__(self, b: int, A: Tensor, discretization: str) -> None:
        self.rate = bounded_decay(A).T.contiguous()  # (n, d | 1)
        self.octaves = self.rate * _LOG2_E
        self.discretization = discretization
        self.exponent, self.decay, self.weight = (A.new_empty(b, *self.rate.shape) for _ in range(3))

    def step(self, gap: Tensor) -> tuple[Tensor, Tensor]:
        # PyTorch's exp2 is three times as fast as exp.
        torch.exp2(torch.mul(gap, self.octaves, out=self.decay), out=self.decay)
        if self.discretization != "zoh":
            return self.decay, gap if self.discretization == "euler" else torch.ones_like(gap)
        torch.mul(gap, self.rate, out=self.exponent)
        torch.expm1(self.exponent, out=self.weight)
        return self.decay, self.weight.div_(self.rate)

    def backward(self, gap: Tensor, by_decay: Tensor, by_weight: Tensor, grad_A: Tensor, grad_delta: Tensor) -> None:
        """Add the last step's part to the gradients of A and of the gap.

        Args:
            gap: Gap of the step.
            by_decay: dL/d decay; it is overwritten.
            by_weight: dL/d weight.
            grad_A: Gradient of A to add to.
            grad_delta: Gradient of the gap to add to.
        """
        by_exponent = by_decay.mul_(self.decay)
        if self.discretization == "zoh":
            slope = zoh_slope(gap, self.rate, self.exponent, self.decay, self.weight)
            grad_A += slope.mul_(by_weight).sum(0).T
            grad_delta += (by_weight * self.decay).sum((1, 2))
        elif self.discretization == "euler":
            grad_delta += by_weight.sum((1, 2))
        b = len(gap)
        grad_A += (gap.view(1, b) @ by_exponent.view(b, -1)).view_as(self.rate).T
        grad_delta += by_exponent.view(b, -1) @ self.rate.flatten()
