"""How fast a device multiplies large matrices: what a model's speed is measured against."""

from __future__ import annotations

import time

import torch


def matrix_rate(device: str = "cpu", *, dtype: str = "float32", seconds: float = 0.3) -> float:
    """Floating-point operations a second in products of square matrices, the best of several.

    Args:
        device, dtype: As PyTorch names them.
        seconds: How long it is measured, at least one product.
    """
    size = 8192 if device.startswith("cuda") else 1024
    left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    left @ right  # the first product also chooses a kernel
    best, begun = 0.0, time.perf_counter()
    while not best or time.perf_counter() - begun < seconds:
        synchronise(device)
        started = time.perf_counter()
        left @ right
        synchronise(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was given; a CPU has."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
