"""The rate at which a device multiplies large matrices, a reference for the speed of models."""

from __future__ import annotations

import time

import torch


def matrix_rate(device: str = "cpu", *, dtype: str = "float32", seconds: float = 0.3) -> float:
    """Return the highest measured rate of products of square matrices, in floating-point operations per second.

    Args:
        device: PyTorch's name of the device, for example `cpu` or `cuda:1`.
        dtype: PyTorch's name of the number format, for example `float32`.
        seconds: How long to measure. At least one product is measured.
    """
    size = 8192 if device.startswith("cuda") else 1024
    left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    left @ right  # not measured: the first product also selects a kernel
    best, begun = 0.0, time.perf_counter()
    while not best or time.perf_counter() - begun < seconds:
        synchronise(device)
        started = time.perf_counter()
        left @ right
        synchronise(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def synchronise(device: str) -> None:
    """Wait until the queued operations of a GPU are done. Operations on a CPU are never queued."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
