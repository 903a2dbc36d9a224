"""The public scan: checks, and the choice of a backend."""

from __future__ import annotations

import torch
from torch import Tensor

from models.scan.discretization import DISCRETIZATIONS, input_weight
from models.scan.fused import can_fuse, fused_scan
from models.scan.parallel import SLAB, block_scan, stretched_scan
from models.scan.sequential import sequential_scan

BACKENDS = ("auto", "sequential", "parallel", "fused")


def selective_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str = "zoh", backend: str = "auto"
) -> Tensor:
    """Scan x (b, l, d) over the gaps delta (b, l) >= 0 and return y (b, l, d), differentiable in every argument.

    A (d, n), negative, or (1, n) where all channels share their decays; B (b, l, n); C (b, l, n). The gaps are taken in the
    precision of x, so that times in float64 may go with a network in float32.

    backend  sequential  one step an event, all sequences and channels at once
             parallel    parts of the sequence side by side, their last states carried from one to the next
             fused       mamba-ssm's kernel: CUDA and `euler` only
             auto        fused where it can run, else by shape

    Raises ValueError for shapes that do not fit, a positive A, a gap that is negative or NaN, an unknown discretization or
    backend, and `fused` where it cannot run.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r}; allowed: {', '.join(BACKENDS)}")
    _check(x, delta, A, B, C, discretization)
    delta = delta.to(x.dtype)
    if backend in ("auto", "fused"):
        obstacle = can_fuse(x, delta, discretization)
        if obstacle is None:
            return fused_scan(x, delta, A, B, C)
        if backend == "fused":
            raise ValueError(f"backend 'fused' cannot run: {obstacle}")
    return _run(x, delta, A, B, C, discretization, backend)[0]


def scan_with_state(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`selective_scan` from `state` (b, n, d) on, by default 0; returns y and the state after the last event."""
    _check(x, delta, A, B, C, discretization)
    return _run(x, delta.to(x.dtype), A, B, C, discretization, "auto", state)


def scan_step(
    z: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str
) -> tuple[Tensor, Tensor]:
    """One event: state z (b, n, d), x (b, d), delta (b,), B (b, n), C (b, n) -> y (b, d) and the new state."""
    gap, rate = delta[:, None, None], A.T
    z = torch.exp(gap * rate) * z + input_weight(gap, rate, discretization) * B[:, :, None] * x[:, None, :]
    return torch.bmm(C[:, None, :], z).squeeze(1), z


def _run(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    discretization: str,
    backend: str,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    b, length, d = x.shape
    n = A.shape[1]
    state = x.new_zeros(b, n, d) if state is None else state
    if length == 0:
        return torch.zeros_like(x), state
    if backend != "sequential" and A.shape[0] == 1:
        return block_scan(x, delta, A, B, C, state, discretization)
    if backend == "parallel" or (backend == "auto" and b * n * d < SLAB / 4 and length >= 64):
        return stretched_scan(x, delta, A, B, C, state, discretization)
    return sequential_scan(x, delta, A, B, C, state, discretization)


def _check(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, discretization: str) -> None:
    if discretization not in DISCRETIZATIONS:
        raise ValueError(f"discretization {discretization!r}; allowed: {', '.join(DISCRETIZATIONS)}")
    if x.ndim != 3 or A.ndim != 2:
        raise ValueError(f"x must be (b, l, d) and A (d, n); given {tuple(x.shape)} and {tuple(A.shape)}")
    b, length, d = x.shape
    n = A.shape[1]
    per_event = (b, length, n)
    if delta.shape != per_event[:2] or A.shape[0] not in (d, 1) or B.shape != per_event or C.shape != per_event:
        raise ValueError(
            f"x (b, l, d) = {tuple(x.shape)}, n = {n} ask for delta {per_event[:2]}, A {(d, n)} or {(1, n)}, B and C "
            f"{per_event}; given delta {tuple(delta.shape)}, A {tuple(A.shape)}, B {tuple(B.shape)}, C {tuple(C.shape)}"
        )
    if not bool((delta >= 0).all()):
        raise ValueError(f"the gaps delta must be >= 0; given {delta[~(delta >= 0)][0].item()}")
    if bool((A > 0).any()):
        raise ValueError(f"A must be negative, or its states grow without end; its largest entry is {float(A.max())}")
