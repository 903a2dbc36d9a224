"""Public functions of the scan: checks of the arguments and choice of the backend."""

from __future__ import annotations

import torch
from torch import Tensor

from models.scan.discretization import DISCRETIZATIONS, input_weight
from models.scan.fused import can_fuse, fused_scan
from models.scan.parallel import block_scan, slab_of, stretched_scan
from models.scan.sequential import sequential_scan

BACKENDS = ("auto", "sequential", "parallel", "fused")


def selective_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str = "zoh", backend: str = "auto"
) -> Tensor:
    """Scan sequences of events with irregular gaps, differentiable in every tensor.

    Args:
        x: (b, l, d) inputs.
        delta: (b, l) gaps before the events, >= 0. They are converted to the type of x, so times may be float64 while the
            network is float32.
        A: (d, n) decays, at most 0, or (1, n) if all channels share them; the scan then runs as matrix
            products.
        B: (b, l, n) input projections.
        C: (b, l, n) output projections.
        discretization: "zoh" (default), "euler" or "impulse", see `models.scan`.
        backend: "sequential" takes one step per event for all sequences and channels. "parallel" scans parts of a sequence
            at the same time and carries the state from part to part. "fused" is mamba-ssm's kernel, for CUDA and "euler"
            only. "auto" (default) takes "fused" if it can run, and otherwise decides by shape. Results agree to rounding.

    Returns:
        y (b, l, d).

    Raises:
        ValueError: Shapes do not fit, A is positive, a gap is negative or NaN, the discretization or backend is unknown, or
            "fused" cannot run.
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
    """Scan sequences from a given state, and return the last state.

    Args:
        x: As for `selective_scan`, like the tensors below.
        delta: Gaps.
        A: Decays.
        B: Input projections.
        C: Output projections.
        discretization: "zoh", "euler" or "impulse".
        state: (b, n, d) state before the first event; None is 0.

    Returns:
        y (b, l, d), and the state after the last event (b, n, d).

    Raises:
        ValueError: As for `selective_scan`.
    """
    _check(x, delta, A, B, C, discretization)
    return _run(x, delta.to(x.dtype), A, B, C, discretization, "auto", state)


def scan_step(
    z: Tensor, x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, *, discretization: str
) -> tuple[Tensor, Tensor]:
    """Advance the state by one event, without checks.

    Args:
        z: (b, n, d) state after the previous event.
        x: (b, d) input.
        delta: (b,) gap before the event.
        A: (d, n) or (1, n) decays.
        B: (b, n) input projection.
        C: (b, n) output projection.
        discretization: "zoh", "euler" or "impulse".

    Returns:
        y (b, d), and the new state (b, n, d).
    """
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
    if backend == "parallel" or (backend == "auto" and b * n * d < slab_of(x.device) / 4 and length >= 64):
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
            f"x (b, l, d) = {tuple(x.shape)}, n = {n} require delta {per_event[:2]}, A {(d, n)} or {(1, n)}, B and C "
            f"{per_event}; given delta {tuple(delta.shape)}, A {tuple(A.shape)}, B {tuple(B.shape)}, C {tuple(C.shape)}"
        )
    if not bool((delta >= 0).all()):
        raise ValueError(f"the gaps delta must be >= 0; given {delta[~(delta >= 0)][0].item()}")
    if bool((A > 0).any()):
        raise ValueError(
            f"A must be <= 0, otherwise the states grow without bound; its largest entry is {float(A.max())}"
        )
