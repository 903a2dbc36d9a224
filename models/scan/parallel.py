"""Scans that process several parts of a sequence in parallel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from models.scan.discretization import input_weight
from models.scan.recurrence import linear_recurrence
from models.scan.sequential import sequential_scan

BLOCK = 8  # events whose pairwise decays are computed at once
SLAB = 2**16  # numbers per step of the sequential scan; with fewer, overhead dominates its time
CUDA_SLAB = 2**22  # the same on a GPU, where starting a kernel costs more and numbers cost less
MIN_STRETCH = 16  # events per stretch, at least


def slab_of(device: torch.device) -> int:
    """Return the numbers per step of the sequential scan below which overhead dominates its time on a device."""
    return CUDA_SLAB if device.type == "cuda" else SLAB


def stretched_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, z: Tensor, discretization: str
) -> tuple[Tensor, Tensor]:
    """Run the scan on two levels; arguments and results are those of `sequential_scan`.

    The first level computes the state that each stretch of the sequence adds, and carries it from stretch to stretch. The
    second level scans all stretches in parallel, each from the state before it.
    """
    b, length, d = x.shape
    n = A.shape[1]
    stretches = max(1, min(slab_of(x.device) // max(b * n * d, 1), length // MIN_STRETCH))
    size = -(-length // stretches)
    x, delta, B, C = _folded(x, delta, B, C, stretches, size)
    x, B, C, delta = (part.flatten(0, 1) for part in (x, B, C, delta))
    _, added = sequential_scan(x, delta, A, B, C, x.new_zeros(b * stretches, n, d), discretization)
    kept = torch.exp(delta.sum(1).unflatten(0, (b, stretches)).T[:, :, None, None] * A.T)
    before, last = _carry(kept, added.unflatten(0, (b, stretches)).transpose(0, 1), z)
    y, _ = sequential_scan(x, delta, A, B, C, before.transpose(0, 1).flatten(0, 1), discretization)
    return y.unflatten(0, (b, stretches)).flatten(1, 2)[:, :length], last


def block_scan(
    x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, z: Tensor, discretization: str
) -> tuple[Tensor, Tensor]:
    """Run the scan as matrix products, for decays A (1, n) that all channels share (the block form of Mamba-2).

    Arguments and results are those of `sequential_scan`. Within a block of events
    y_i = sum_{j <= i} (sum_n C_in exp(A_n (t_i - t_j)) w_jn B_jn) x_j. A pair of events needs one number instead of one per
    channel. One state is carried from block to block. Every exponent is a sum of gaps inside the block, never a difference of
    two times, so a gap of 1e9 does not reduce the precision of its neighbours.
    """
    length = x.shape[1]
    size = min(BLOCK, length)
    x, delta, B, C = _folded(x, delta, B, C, -(-length // size), size)  # (b, blocks, size, ...)

    lower = torch.ones(size, size, dtype=torch.bool, device=x.device).tril()
    elapsed = torch.where(lower.tril(-1), delta[..., :, None], 0.0).cumsum(-2)  # [i, j]: time between events j and i
    weighted = B * input_weight(delta[..., None], A[0], discretization)
    decay = torch.exp(elapsed[..., None] * A[0])  # (b, blocks, i, j, n)
    scores = ((decay * weighted[:, :, None]) @ C[..., None]).squeeze(-1)
    y = torch.where(lower, scores, 0.0) @ x
    added = (decay[:, :, -1] * weighted).mT @ x  # the state that a block adds (b, blocks, n, d)
    kept = torch.exp(
        delta.cumsum(-1)[..., None] * A[0]
    )  # decay since the end of the previous block (b, blocks, size, n)
    before, last = _carry(kept[:, :, -1].transpose(0, 1)[..., None], added.transpose(0, 1), z)
    y = y + (C * kept) @ before.transpose(0, 1)
    return y.flatten(1, 2)[:, :length], last


def _folded(x: Tensor, delta: Tensor, B: Tensor, C: Tensor, parts: int, size: int) -> tuple[Tensor, ...]:
    """Split the time axis into (parts, size), padded with gaps and inputs of 0, which do not change the state."""
    missing = parts * size - x.shape[1]
    if missing:
        x, B, C = (pad(part, (0, 0, 0, missing)) for part in (x, B, C))
        delta = pad(delta, (0, missing))
    return tuple(part.unflatten(1, (parts, size)) for part in (x, delta, B, C))


def _carry(kept: Tensor, added: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Carry the state from part to part.

    Args:
        kept: (parts, b, n, d) factor by which each part multiplies the state before it.
        added: (parts, b, n, d) state that each part adds.
        z: (b, n, d) state before the first part.

    Returns:
        States before each part (parts, b, n, d), and the state after the last part (b, n, d).
    """
    added = torch.cat([z[None], added])
    kept = torch.cat([torch.ones_like(kept[:1]), kept])
    states = linear_recurrence(kept, added)
    return states[:-1], states[-1]
