"""Sums over later clicks of the same group that decay with their distance, compiled, with a hand-written backward pass."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from models.no_double_backward import first_order


def decayed_sums(x: Tensor, following: Tensor, gap: Tensor, rate: Tensor) -> Tensor:
    """Return, per click and decay, the sum of the later clicks x_i of the same group, each times exp(-rate (t_i - t_j)).

    The sums follow from the last click to the first by z_j = exp(-rate gap_j) (x_n + z_n), where n is the group's next
    click, so the work grows with the number of clicks and not with its square. It runs on the CPU.

    Args:
        x: (b, L, d) clicks in the order of time.
        following: (b, L) int64 place of the next click of the same group; -1 for none.
        gap: (b, L) time from each click to that next one.
        rate: (p,) decay rates.

    Returns:
        (b, L, p, d).

    Example:
        >>> x, following = torch.tensor([[[1.0], [2.0], [4.0]]]), torch.tensor([[1, 2, -1]])
        >>> decayed_sums(x, following, torch.ones(1, 3), torch.tensor([0.0])).ravel().tolist()
        [6.0, 4.0, 0.0]
    """
    return _DecayedSums.apply(x, following, gap, rate)


class _DecayedSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, following: Tensor, gap: Tensor, rate: Tensor) -> Tensor:
        kept = torch.exp(-gap.unsqueeze(-1) * rate)  # (b, L, p)
        arrays = [value.detach().cpu().contiguous().numpy() for value in (x, following, kept)]
        sums = np.zeros((*x.shape[:2], len(rate), x.shape[2]), arrays[0].dtype)
        _sum_back(*arrays, sums)
        ctx.save_for_backward(following, gap, kept, result := torch.from_numpy(sums).to(x.device))
        return result

    @staticmethod
    @first_order
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        following, gap, kept, sums = ctx.saved_tensors
        arrays = [value.cpu().contiguous().numpy() for value in (following, gap, kept, sums)]
        total = upstream.cpu().numpy().copy()
        by_x = np.zeros((*total.shape[:2], total.shape[3]), total.dtype)
        by_rate = np.zeros((len(total), total.shape[2]), total.dtype)
        _sum_back_gradient(*arrays, total, by_x, by_rate)
        return (
            torch.from_numpy(by_x).to(upstream.device),
            None,
            None,
            torch.from_numpy(by_rate).to(upstream.device).sum(0),
        )


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sum_back(x, following, kept, sums):
    """Fill sums (b, L, p, d), which hold zeros; kept (b, L, p) is exp(-rate gap)."""
    for row in range(len(x)):
        for j in range(x.shape[1] - 1, -1, -1):
            n = following[row, j]
            if n >= 0:
                for k in range(kept.shape[2]):
                    factor = kept[row, j, k]
                    for m in range(x.shape[2]):
                        sums[row, j, k, m] = factor * (x[row, n, m] + sums[row, n, k, m])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _sum_back_gradient(following, gap, kept, sums, total, by_x, by_rate):
    """Add the gradients by x (b, L, d) and by the rates (b, p); total is the gradient by the sums, and is overwritten."""
    for row in range(len(total)):
        for j in range(total.shape[1]):
            n = following[row, j]
            if n >= 0:
                for k in range(kept.shape[2]):
                    factor, slope = kept[row, j, k], 0.0
                    for m in range(total.shape[3]):
                        slope += total[row, j, k, m] * sums[row, j, k, m]
                        passed = factor * total[row, j, k, m]
                        by_x[row, n, m] += passed
                        total[row, n, k, m] += passed
                    by_rate[row, k] -= gap[row, j] * slope
