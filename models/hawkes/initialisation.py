"""Where a fit starts: scales and rates taken from the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.history import window_bounds
from models.hawkes.mamba import MambaHawkesProcess


@torch.no_grad()
def initialise(process: MambaHawkesProcess, events: EventBatch, *, window: str, seed: int) -> None:
    """Take the clock's scale, the baseline and the decay rates from `events`, and draw the network's weights anew."""
    process.time_scale.fill_(mean_gap(events))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in process.network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        process.network.embedding.weight.normal_(std=0.5)
        process.head.weight.normal_(std=0.02)  # the network begins as a small correction
    scale = float(process.time_scale)
    if process.network.counts is not None:
        rate = process.network.counts.rate
        rate.copy_(decay_grid(events, len(rate)) * scale)
    if process.network.clock is not None:
        # From twice the longest window, whose phase tells any age from any other, down to a few mean gaps.
        period = process.network.clock.period
        longest = max(2 * float(events.t_end.max()) / scale, 8.0)
        period.copy_(torch.logspace(math.log10(longest), math.log10(4.0), len(period)))
    rates = type_rates(events, process.num_types) * float(process.time_scale)
    # Half of the events are left to the excitation and the network to explain.
    relative = process.config()["softness"]
    softness = torch.ones_like(rates) if relative is None else relative * rates
    process.log_softness.copy_(softness.log())
    process.baseline.copy_(softness * torch.log(torch.expm1(0.5 * rates / softness)))
    if process.excitation is not None:
        decays = decay_grid(events, process.excitation.decays) * float(process.time_scale)
        process.excitation.log_rate.copy_(decays.log().expand_as(process.excitation.log_rate))
        process.excitation.branching.mul_(has_sources(events, process.num_types, window)[None, :, None])
    process.initialised.fill_(True)


@torch.no_grad()
def initialise_classical(process: ExponentialHawkes, events: EventBatch, *, window: str) -> None:
    """Half of each type's rate to the baseline, half of an offspring an event spread over all pairs, data's decays."""
    process.baseline.copy_(0.5 * type_rates(events, process.num_types))
    excitation = process.excitation
    excitation.log_rate.copy_(decay_grid(events, excitation.decays).log().expand_as(excitation.log_rate))
    excitation.branching.fill_(0.5 / (process.num_types * excitation.decays))
    excitation.branching.mul_(has_sources(events, process.num_types, window)[None, :, None])
    process.initialised.fill_(True)


def has_sources(events: EventBatch, num_types: int, window: str) -> Tensor:
    """(k,) bool: the types that had time to excite anything. Of the others the likelihood says nothing: their influence is
    0, or it would stay what the fit began with.
    """
    _, end = window_bounds(events, window)
    return torch.bincount(events.types[events.mask & (events.times < end[:, None])], minlength=num_types) > 0


def mean_gap(events: EventBatch) -> float:
    """Observed time over observed events; 1 where no time has passed."""
    observed = float(events.t_end.sum())
    return observed / max(events.num_events, 1) if observed > 0 else 1.0


def type_rates(events: EventBatch, num_types: int) -> Tensor:
    """(k,) events of each type per unit of time, a type that never occurs counted half an event."""
    counts = torch.bincount(events.types[events.mask], minlength=num_types).double()
    return counts.clamp_min(0.5) / max(float(events.t_end.sum()), 1e-12)


def decay_grid(events: EventBatch, decays: int) -> Tensor:
    """(r,) rates per unit of time, evenly spaced in the logarithm over the time scales of the data, fast ones first."""
    gaps = events.gaps[events.mask]
    gaps = gaps[gaps > 0]
    if len(gaps) == 0:
        return torch.ones(decays, dtype=torch.float64)
    typical = float(gaps.median())
    if decays == 1:
        return torch.tensor([1.0 / typical], dtype=torch.float64)
    longest = max(float(events.t_end.quantile(0.9)) / 2, 2 * typical)
    shortest = min(float(gaps.quantile(0.01)), typical / 2)
    return torch.linspace(math.log(1 / shortest), math.log(1 / longest), decays, dtype=torch.float64).exp()
