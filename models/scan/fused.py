"""mamba-ssm's fused CUDA kernel, where it fits: Euler's discretization on a GPU."""

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
    """None where the fused kernel can run, else why it cannot."""
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
    """Same arguments as `selective_scan`; the kernel wants (b, d, l), a step size a channel, and float32 A."""
    b, length, d = x.shape
    steps = delta.to(x.dtype)[:, None, :].expand(b, d, length).contiguous()
    y = _kernel()(
        x.mT.contiguous(), steps, A.expand(d, -1).float().contiguous(), B.mT.contiguous(), C.mT.contiguous(),
        delta_softplus=False,
    )  # fmt: skip
    return y.mT
