"""The starting point of a Mamba-Hawkes fit: for m3tr, the fitted classical process, which it contains, made softer."""

from __future__ import annotations

import math

import torch

from models.events import EventBatch
from models.hawkes.classical_fit import fit_classical
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.initialisation import decay_grid, longest_window, mean_gap, type_rates
from models.hawkes.link import soft_link
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.neural_hawkes import NeuralHawkesProcess

LEAST_SOFTNESS = 1e-3  # least softness at the start, relative to a type's mean rate
SHARE_OF_BASELINE = 0.25  # largest ratio of softness to baseline at the start; softplus(4) is 4.02
LEAST_BASELINE = 0.5  # least baseline before training, relative to a type's mean rate


@torch.no_grad()
def initialise(
    process: MambaHawkesProcess | NeuralHawkesProcess, events: EventBatch, *, window: str, seed: int
) -> None:
    """Initialise a process from data, in place: its time scale, baseline and softness, and new network weights.

    Args:
        process: The process.
        events: The training sequences.
        window: "observation" or "events".
        seed: Seed of the network's weights.
    """
    scale = mean_gap(events, window)
    process.time_scale.fill_(scale)
    process.initialised.fill_(True)
    rates = type_rates(events, process.num_types, window) * scale
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(process, NeuralHawkesProcess):
            process.reset_parameters(rates)
            return
        for module in process.network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        process.network.embedding.weight.normal_(std=0.5)
        process.head.weight.normal_(std=0.02)  # the network starts as a small correction
    if process.network.counts is not None:
        rate = process.network.counts.rate
        rate.copy_(decay_grid(events, len(rate), window) * scale)
    if process.network.clock is not None:
        # From twice the longest window, at which every age has a different phase, down to four mean gaps.
        period = process.network.clock.period
        longest = max(2 * longest_window(events, window) / scale, 8.0)
        period.copy_(torch.logspace(math.log10(longest), math.log10(4.0), len(period)))
    # Half of each type's rate, so that the other half is left for the network to explain.
    _set_level(process, LEAST_BASELINE * rates, _softness_before(process, rates))


def start_from_classical(
    process: MambaHawkesProcess,
    train: EventBatch,
    dev: EventBatch,
    *,
    window: str,
    max_branching: float | None,
    max_seconds: float | None,
) -> None:
    """Fit a classical process and give m3tr its baseline, branching and decay rates; the network's output is set to 0.

    Args:
        process: An initialised m3tr process; it is changed in place.
        train: The sequences to fit.
        dev: The sequences whose score the classical fit reports.
        window: "observation" or "events".
        max_branching: Largest branching ratio; None means no bound.
        max_seconds: Time limit of the classical fit; None means no limit.
    """
    shared = process.excitation.shared
    classical = ExponentialHawkes(process.num_types, decays=process.excitation.decays, shared=shared)
    fit_classical(classical, train, dev, window=window, max_branching=max_branching, max_seconds=max_seconds)
    scale = float(process.time_scale)
    with torch.no_grad():
        process.head.weight.zero_()
        process.excitation.branching.copy_(classical.excitation.branching)
        process.excitation.log_rate.copy_(classical.excitation.log_rate + math.log(scale))
        level = classical.baseline * scale
        softness = process.log_softness.exp().double()
        if process.log_softness.requires_grad:
            # Softplus is close to linear well above its softness. With a softness that is small beside the baseline, the
            # start agrees with the classical process to a few thousandths of a nat. The fit changes the softness from there.
            softness = torch.minimum(softness, (SHARE_OF_BASELINE * level).clamp_min(LEAST_SOFTNESS * softness))
        _set_level(process, level, softness)


@torch.no_grad()
def soften(process: MambaHawkesProcess, events: EventBatch, *, window: str) -> None:
    """Raise each type's baseline to at least half of its mean rate, and its softness with it, before training.

    Most events of the classical process come from other events, so that many of its types have next to no baseline. With a
    softness as small as that, a step of the optimiser changes a log intensity by many nats, and training loses what the start
    was worth instead of gaining on it.

    Args:
        process: An m3tr process, started from the classical one; it is changed in place.
        events: The training sequences.
        window: "observation" or "events".
    """
    rates = type_rates(events, process.num_types, window) * float(process.time_scale)
    level = soft_link(process.baseline, process.log_softness.exp()).to(rates)
    level = torch.maximum(level, LEAST_BASELINE * rates)
    softness = process.log_softness.exp().to(rates)
    if process.log_softness.requires_grad:
        softness = torch.minimum(_softness_before(process, rates), level)
    _set_level(process, level, softness)


def _softness_before(process: MambaHawkesProcess, rates: torch.Tensor) -> torch.Tensor:
    """Return the softness (k,) before the fit, for types with these mean rates (k,) on the scaled clock."""
    relative = process.config()["softness"]
    return torch.ones_like(rates) if relative is None else relative * rates


def _set_level(process: MambaHawkesProcess, level: torch.Tensor, softness: torch.Tensor) -> None:
    """Set the softness (k,), and the baseline at which the link gives `level` (k,), both on the scaled clock."""
    process.log_softness.copy_(softness.log())
    # the inverse of softplus, in a form that does not overflow
    relative = level / softness
    process.baseline.copy_(softness * (relative + torch.log(-torch.expm1(-relative))))
