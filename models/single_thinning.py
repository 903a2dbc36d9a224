"""Thinning of one sequence at a time without PyTorch, for a process that continues single sequences again and again.

A step of `models.thinning.simulate` takes about a millisecond, whether it is made for one sequence or for hundreds. Here it
takes about a tenth of that, for one sequence. The random numbers and the arithmetic are the same, so the events are the same
up to rounding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from models.events import EventBatch
from models.hawkes.link import EXACT_ABOVE
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.process import PointProcess
from models.thinning import DRAWS_AT_ONCE, TOLERANCE, above_bound, checked_seeds, not_finite


class Simulator(Protocol):
    """Continues sequences with one process; see `models.thinning.simulate`."""

    def __call__(
        self, batch: EventBatch, *, length: Tensor, until: Tensor, seeds: Sequence[int] | Tensor, history: str
    ) -> EventBatch:
        """Return the sequences with their new events."""
        ...


class SingleThinning:
    """The simulation of single sequences by one Mamba-Hawkes process; a `Simulator`.

    Example:
        >>> import torch
        >>> from models.thinning import simulate
        >>> process = MambaHawkesProcess(2)
        >>> batch = EventBatch.from_sequences([[0.5, 1.0]], [[0, 1]], t_end=[3.0])
        >>> given = {"length": torch.tensor([5]), "until": torch.tensor([1e4]), "seeds": [1]}
        >>> single = SingleThinning(process)(batch, **given, history="updated")
        >>> bool(torch.allclose(single.times, simulate(process, batch, **given).times))
        True
    """

    def __init__(self, process: MambaHawkesProcess) -> None:
        """Copy the weights of a process that `expressible` accepts; later changes of the process are not seen."""
        self._process = copy.deepcopy(process).cpu().double().eval()
        network, (layer,) = self._process.network, self._process.network.layers
        excitation = self._process.excitation

        def array(tensor: Tensor) -> np.ndarray:
            return tensor.detach().numpy()

        self._embedding = array(network.embedding.weight)
        self._gaps = np.zeros((network.hidden, 2))
        if network.gap_embedding is not None:
            self._gaps = array(network.gap_embedding.weight)
        self._norms = [(array(norm.weight), norm.eps) for norm in (layer.norm, layer.norm_scan, network.norm)]
        self._project_in, self._project_out = array(layer.project_in.weight), array(layer.project_out.weight)
        self._read_write = np.concatenate([array(layer.project_B.weight), array(layer.project_C.weight)])
        self._read_write_bias = np.concatenate([array(layer.project_B.bias), array(layer.project_C.bias)])
        self._decay, self._skip = -np.exp(array(layer.log_rate)[0])[:, None], array(layer.skip)
        self._widen, self._widen_bias = array(network.widen.weight), array(network.widen.bias)
        # from the wide layer to the link's argument in one product
        head = array(self._process.head.weight)
        self._head = head @ array(network.narrow.weight)
        self._head_bias = head @ array(network.narrow.bias) + array(self._process.baseline)
        self._softness = np.exp(array(self._process.log_softness))
        self._scale = float(self._process.time_scale)
        self._rate, self._jump, self._shared = array(excitation.rate), array(excitation.jump), excitation.shared
        self._flat_rate = self._rate[0, 0] if self._shared else self._rate.reshape(len(self._rate), -1)

    @staticmethod
    def expressible(process: PointProcess) -> bool:
        """Return whether this class can simulate a process.

        It can if the process is a Mamba-Hawkes process in the form m3tr with one layer and the input rule "impulse", and
        without running counts and clock. These are the defaults.
        """
        # Not isinstance: a subclass may have another intensity.
        if type(process) is not MambaHawkesProcess or process.excitation is None:
            return False
        network = process.network
        extra = network.counts is not None or network.clock is not None
        return len(network.layers) == 1 and not extra and network.layers[0].discretization == "impulse"

    def __call__(
        self, batch: EventBatch, *, length: Tensor, until: Tensor, seeds: Sequence[int] | Tensor, history: str
    ) -> EventBatch:
        """Continue each sequence of a batch, one after the other; see `models.thinning.simulate`.

        Raises:
            models.thinning.SimulationError: An intensity is NaN or infinite, or exceeds its bound.
        """
        rows = [
            self._continued(batch[[row]], int(length[row]), float(until[row]), seed, frozen=history == "frozen")
            for row, seed in enumerate(checked_seeds(seeds, len(batch)))
        ]
        times, types = ([row[place] for row in rows] for place in (0, 1))
        return EventBatch.from_sequences(times, types, t_end=[row[2] for row in rows], t_start=batch.t_start.tolist())

    def _continued(
        self, sequence: EventBatch, length: int, until: float, seed: int, *, frozen: bool
    ) -> tuple[list[float], list[int], float]:
        """Return the times and types of a sequence with its new events, and its new end."""
        count, now = int(sequence.lengths[0]), float(sequence.t_end[0])
        times, types = sequence.times[0, :count].tolist(), sequence.types[0, :count].tolist()
        if count >= length or now >= until:
            return times, types, now if count >= length else until
        snapshot = self._process.snapshot(sequence)
        state, excited = (part[0].numpy() for part in snapshot.memory)
        base, amplitude = snapshot.levels.base[0].numpy(), snapshot.levels.amplitude[0].numpy()
        since = float(snapshot.time[0])
        stream = np.random.Generator(np.random.Philox(key=seed))
        draws, place = stream.random((DRAWS_AT_ONCE, 3)).tolist(), 0
        # The intensity falls between events, so its present value is a bound until the next event.
        ceiling = float(self._rates(base, amplitude, now - since).sum())
        while count < length and now < until:
            if place == DRAWS_AT_ONCE:
                draws, place = stream.random((DRAWS_AT_ONCE, 3)).tolist(), 0
            first, second, third = draws[place]
            place += 1
            wait = -math.log1p(-first) / ceiling if ceiling > 0 else math.inf
            missed = not wait <= until - now
            now += until - now if missed else wait
            rates = self._rates(base, amplitude, now - since)
            total = float(rates.sum())
            if not (math.isfinite(ceiling) and math.isfinite(total)):
                raise not_finite(0, now)
            if total > ceiling * (1 + TOLERANCE):
                raise above_bound(0, now, total, ceiling)
            if missed or second * ceiling >= total:
                ceiling = total
                continue
            kind = min(int(np.searchsorted(rates.cumsum(), third * total)), len(rates) - 1)
            count += 1
            times.append(now)
            types.append(kind)
            if not frozen:
                base, amplitude, state, excited = self._after(state, excited, now - since, kind)
                since = now
                total = float(self._rates(base, amplitude, 0.0).sum())
            ceiling = total
        return times, types, now if count >= length else until

    def _rates(self, base: np.ndarray, amplitude: np.ndarray, elapsed: float) -> np.ndarray:
        """Return the intensity of each type, (k,), `elapsed` after the last event."""
        decayed = (np.exp(-elapsed / self._scale * self._flat_rate) * amplitude).sum(-1)
        scaled = (base + decayed) / self._softness
        link = np.where(scaled > EXACT_ABOVE, scaled, np.log1p(np.exp(np.minimum(scaled, EXACT_ABOVE))))
        return link * self._softness / self._scale

    def _after(
        self, state: np.ndarray, excited: np.ndarray, gap: float, kind: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return base, amplitude and both states just after an event of type `kind`, `gap` after the last one."""
        gap /= self._scale
        x = self._embedding[kind] + self._gaps @ (math.log1p(gap), math.log1p(1000 * gap))
        v, gate = np.split(self._project_in @ _normalised(x, *self._norms[0]), 2)
        v = _silu(v)
        write, read = np.split(self._read_write @ v + self._read_write_bias, 2)
        state = np.exp(gap * self._decay) * state + write[:, None] * v
        y = _normalised(read @ state + self._skip * v, *self._norms[1]) * _silu(gate)
        x = x + self._project_out @ y
        wide = np.maximum(self._widen @ _normalised(x, *self._norms[2]) + self._widen_bias, 0)
        excited = excited * np.exp(-gap * self._rate)
        excited[:, kind] += 1
        if self._shared:
            amplitude = (excited * self._jump).sum(1)
        else:
            amplitude = (excited * self._jump).reshape(len(self._jump), -1)
        return self._head @ wide + self._head_bias, amplitude, state, excited


def _normalised(x: np.ndarray, gain: np.ndarray, epsilon: float) -> np.ndarray:
    return x * (gain / math.sqrt(x @ x / len(x) + epsilon))


def _silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))
