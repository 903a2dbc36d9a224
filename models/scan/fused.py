"""mamba-ssm's fused CUDA kernel, for the Euler discretization on a GPU."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def _kernel():
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError:  # not installed, or without its compiled part
        return None
    return selective_scan_fn


def can_fuse(x: Tensor, delta: Tensor, discretization: str) -> str | None:
    """Return the reason why the fused kernel cannot run, or None if it can."""
    if discretization != "euler":
        return f"mamba-ssm's kernel discretises by euler, not by {discretization}"
    if x.dtype == torch.float64:
        return "mamba-ssm's kernel has no float64"
    if not x.is_cuda:
        return f"mamba-ssm's kernel runs on CUDA; the tensors are on {x.device}"
    if _kernel() is None:
        return "mamba-ssm is not installed (reelcast[gpu])"
    return None


def fused_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Run the scan with the fused kernel; arguments and result are those of `selective_scan`.

    The kernel takes tensors as (b, d, l), one step size per channel, and A in float32.
    """
    b, length, d = x.shape
    steps = delta.to(x.dtype)[:, None, :].expand(b, d, length).contiguous()
    y = _kernel()(
        x.mT.contiguous(), steps, A.expand(d, -1).float().contiguous(), B.mT.contiguous(), C.mT.contiguous(),
        delta_softplus=False,
    )  # fmt: skip
    return y.mT
