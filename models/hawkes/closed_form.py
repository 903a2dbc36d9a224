"""Differentiable terms of the classical likelihood: each event's log-intensity, and the offspring it had time for.

The computation runs in compiled loops only. PyTorch's threads would keep spinning for a millisecond after each operation
and take cores from the compiled loops.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.compiled import (
    ROWS_AT_ONCE,
    chunks_of,
    log_rates,
    log_rates_gradient,
    offspring,
    offspring_gradient,
    share_rows,
)
from models.no_double_backward import first_order

KEPT_NUMBERS = 2**23  # largest size of the offspring sums that are kept from the forward to the backward pass


def log_own_intensity(
    baseline: Tensor, jump: Tensor, rate: Tensor, batch: EventBatch, *, first: int, each: bool
) -> Tensor:
    """Return the log-intensity of each event's own type.

    For event i of type k it is log(mu_k + sum_m sum_r alpha_kmr sum_{t_j < t_i, type m} exp(-delta_kmr (t_i - t_j))).
    Tied events do not see each other. All tensors are float64 on the CPU.

    Args:
        baseline: mu (k,).
        jump: alpha (k, k, r).
        rate: delta (k, k, r), or (1, 1, r) if common to all pairs.
        batch: b sequences, padded to l events.
        first: Number of the first event that is scored; earlier events get 0.
        each: Whether to return one number per event or the sum over each row.

    Returns:
        (b, l) with 0 in the padding, or (b, 1) if `each` is False.
    """
    return _LogOwnIntensity.apply(baseline, jump, rate, batch, first, each)


def expected_offspring(branching: Tensor, rate: Tensor, batch: EventBatch, end: Tensor) -> Tensor:
    """Return the expected direct offspring of each row's events until `end`, the integral of their excitation.

    It is the sum over the events, with m the type of the event at t, of sum_r G_kmr (1 - exp(-delta_kmr (end - t))).
    All tensors are float64 on the CPU.

    Args:
        branching: G (k, k, r).
        rate: delta (k, k, r), or (1, 1, r) if common to all pairs.
        batch: b sequences.
        end: (b,), at or after each row's last event.

    Returns:
        (b, k).
    """
    return _ExpectedOffspring.apply(branching, rate, batch, end)


class _LogOwnIntensity(torch.autograd.Function):
    # The backward pass repeats the recurrence instead of storing it: the states are many times larger than the events.

    @staticmethod
    def forward(ctx, baseline, jump, rate, batch, first, each):
        ctx.save_for_backward(baseline, jump, rate)
        ctx.events, ctx.options = _arrays(batch), (first, int(each), jump.shape[-1])
        logs = np.zeros(batch.times.shape if each else (len(batch), 1))
        level, weights, rates = (_flat(part) for part in (baseline, jump, rate))

        def work(rows: slice) -> None:
            log_rates(*(part[rows] for part in ctx.events), *ctx.options, level, weights, rates, logs[rows])

        share_rows(len(logs), work)
        return torch.from_numpy(logs)

    @staticmethod
    @first_order
    def backward(ctx, grad):
        baseline, jump, rate = ctx.saved_tensors
        level, weights, rates = (_flat(part) for part in (baseline, jump, rate))
        upstream = np.ascontiguousarray(grad.numpy())
        parts = _parts(len(upstream), level, weights, weights)

        def work(rows: slice) -> None:
            into = (part[chunks_of(rows.start) :] for part in parts)
            events = (part[rows] for part in ctx.events)
            log_rates_gradient(*events, *ctx.options, level, weights, rates, upstream[rows], *into)

        share_rows(len(upstream), work)
        by_baseline, by_jump, by_rate = _summed(parts, baseline, jump, jump)
        return by_baseline, by_jump, by_rate.sum_to_size(rate.shape), None, None, None


class _ExpectedOffspring(torch.autograd.Function):
    @staticmethod
    def forward(ctx, branching, rate, batch, end):
        ctx.save_for_backward(branching, rate)
        weights, rates = _flat(branching), _flat(rate)
        caused = np.zeros((len(batch), len(weights)))
        ctx.events, ctx.decays = [*_arrays(batch), end.contiguous().numpy()], branching.shape[-1]
        # Kept for the backward pass. With many types and unshared rates they would fill the memory and are recomputed.
        size = len(batch) * len(rates) * weights.shape[1]
        ctx.sums = _sums(len(batch), rates, weights) if size <= KEPT_NUMBERS else None

        def work(rows: slice) -> None:
            for part in _blocks(rows, whole=ctx.sums is not None):
                sums = (
                    _sums(part.stop - part.start, rates, weights) if ctx.sums is None else [s[part] for s in ctx.sums]
                )
                offspring(*(events[part] for events in ctx.events), ctx.decays, weights, rates, caused[part], *sums)

        share_rows(len(batch), work)
        return torch.from_numpy(caused)

    @staticmethod
    @first_order
    def backward(ctx, grad):
        branching, rate = ctx.saved_tensors
        weights, rates, upstream = _flat(branching), _flat(rate), np.ascontiguousarray(grad.numpy())
        parts = _parts(len(upstream), weights, weights)

        def work(rows: slice) -> None:
            for part in _blocks(rows, whole=ctx.sums is not None):
                into = (sums[chunks_of(part.start) :] for sums in parts)
                if ctx.sums is None:
                    sums = _sums(part.stop - part.start, rates, weights)
                    events = (events[part] for events in ctx.events)
                    offspring(*events, ctx.decays, weights, rates, np.zeros_like(upstream[part]), *sums)
                else:
                    sums = [s[part] for s in ctx.sums]
                offspring_gradient(upstream[part], weights, *sums, *into)

        share_rows(len(upstream), work)
        by_branching, by_rate = _summed(parts, branching, branching)
        return by_branching, by_rate.sum_to_size(rate.shape), None, None


def _sums(rows: int, rates: np.ndarray, weights: np.ndarray) -> list[np.ndarray]:
    """Allocate the two sums that `offspring` fills, (rows, 1 or k, k r) each."""
    return [np.zeros((rows, len(rates), weights.shape[1])) for _ in range(2)]


def _blocks(rows: slice, *, whole: bool) -> Iterator[slice]:
    """Yield `rows` as one slice, or in chunks of ROWS_AT_ONCE."""
    size = max(rows.stop - rows.start, 1) if whole else ROWS_AT_ONCE
    for begin in range(rows.start, rows.stop, size):
        yield slice(begin, min(begin + size, rows.stop))


def _parts(rows: int, *like: np.ndarray) -> list[np.ndarray]:
    """Allocate the arrays that hold a gradient's sums per chunk of rows."""
    return [np.zeros((chunks_of(rows), *one.shape)) for one in like]


def _summed(parts: list[np.ndarray], *like: Tensor) -> list[Tensor]:
    return [torch.from_numpy(part.sum(0)).view_as(one) for part, one in zip(parts, like)]


def _arrays(batch: EventBatch) -> list[np.ndarray]:
    return [part.contiguous().numpy() for part in (batch.times, batch.types, batch.lengths)]


def _flat(parameter: Tensor) -> np.ndarray:
    """Return the parameter in the compiled loops' layout: (k,), or (k, k r) and (1, r) from three dimensions."""
    return parameter.detach().contiguous().flatten(1 if parameter.ndim > 1 else 0).numpy()
