"""A process as the compiled code for continuations takes it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.compiled_continuations import Histories, Intensity, no_network
from models.hawkes.compiled_network import NetworkWeights, compilable, network_weights
from models.hawkes.excitation import Excitation
from models.hawkes.exponential import ExponentialHawkes
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.process import PointProcess

ENCODED_AT_ONCE = 128  # rows whose histories are encoded at once


class CompiledProcess(NamedTuple):
    """The arrays of a process.

    Attributes:
        intensity: The intensities between events.
        network: Weights of the network.
        networked: Whether there is a network.
    """

    intensity: Intensity
    network: NetworkWeights
    networked: bool


def compiled_process(process: PointProcess) -> CompiledProcess | None:
    """Return the arrays of a process in float64, or None if the compiled code cannot express it.

    It can express the classical process, and the Mamba-Hawkes process with one layer and without running counts and clock.
    """
    k = process.num_types
    # Not isinstance: a subclass may have another intensity than the compiled code.
    if type(process) is ExponentialHawkes:
        scale, softness, slope = 1.0, np.zeros(k), np.zeros(k)
        network, networked = no_network(), False
    elif type(process) is MambaHawkesProcess and compilable(process):
        scale, softness = float(process.time_scale), process.log_softness.exp().numpy()
        slope = np.zeros(k) if process.excitation is not None else process.slope.numpy() / scale
        network, networked = network_weights(process), True
    else:
        return None
    rate, jump = _excitation(process.excitation, scale) if process.excitation is not None else (
        np.zeros((1, 0)), np.zeros((k, k, 0))
    )  # fmt: skip
    return CompiledProcess(Intensity(softness, scale, rate, jump, slope, process.rising), network, networked)


def _excitation(excitation: Excitation, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the decay rates of the amplitudes, and what an event of each type adds to them; see `Intensity`."""
    rate = excitation.rate[0] if excitation.shared else excitation.rate.flatten(1)
    return np.ascontiguousarray(rate.numpy()) / scale, np.ascontiguousarray(excitation.jump.permute(1, 0, 2).numpy())


def histories(
    process: PointProcess, network: NetworkWeights, batch: EventBatch, until: Tensor, counted_from: Tensor
) -> Histories:
    """Return the observed histories of a batch.

    Args:
        process: A process that `compiled_process` can express, in float64.
        network: Its network.
        batch: b sequences.
        until: (b, H) float64.
        counted_from: (b,) float64.
    """
    states = np.zeros((len(batch), len(network.rate), len(network.skip)), np.float32)
    base, amplitude, last = [], [], []
    for part in torch.arange(len(batch)).split(ENCODED_AT_ONCE):
        snapshot = process.snapshot(batch[part])
        base.append(snapshot.levels.base)
        amplitude.append(snapshot.levels.amplitude)
        last.append(snapshot.time)
        if network.width:
            states[part.numpy(), :, : network.width] = snapshot.memory[0].numpy()
    return Histories(
        base=torch.cat(base).numpy(),
        amplitude=torch.cat(amplitude).contiguous().numpy(),
        states=states,
        last=torch.cat(last).numpy(),
        start=batch.t_end.numpy(),
        until=until.numpy(),
        counted_from=counted_from.numpy(),
    )
