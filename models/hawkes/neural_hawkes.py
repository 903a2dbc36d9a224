"""The neural Hawkes process of Mei and Eisner (2017): its state is a continuous-time LSTM."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.events import EventBatch
from models.hawkes.carried_history import Carried
from models.hawkes.compensator import fixed_rule, integrate
from models.hawkes.history import gaps_of
from models.hawkes.link import log_soft_link, soft_link
from models.hawkes.mamba import TRAINING_NODES
from models.hawkes.network import NetworkMemory
from models.hawkes.process import Levels, Snapshot
from models.hawkes.row_source import RowSource

GATES = 7  # input, forget, candidate, output; input and forget of the target cell; decay


class NeuralHawkesProcess(RowSource):
    """A point process whose intensity follows a continuous-time LSTM.

    At event j, of type k_j (one-hot) and with h just before it, the cell gets new values:

        i, f, o, i', f' = sigmoid(W k_j + U h + d)        z = 2 sigmoid(W k_j + U h + d) - 1
        delta = softplus(W k_j + U h + d)                 c = f c(t_j) + i z        c' = f' c' + i' z

    each with W, U and d of its own.

    Until the next event c(t) = c' + (c - c') exp(-delta (t - t_j) / s) and h(t) = o tanh(c(t)), and the intensity of type k
    is beta_k log(1 + exp(w_k . h(t) / beta_k)) / s. A start token is an event at t_start. s is `time_scale`, as in
    `MambaHawkesProcess`. Events are processed one after the other, so long sequences take long.

    Attributes:
        num_types: Number k of event types.
        hidden: Width d of h.
        time_scale: s, a float64 buffer; 1 before `fit`, which sets it to the mean gap.
        initialised: Whether the process has been fitted. `fit` then continues from its parameters.
        log_softness: log beta (k,).
        tolerance: Relative tolerance of each gap's integral outside training.

    Example:
        >>> process = NeuralHawkesProcess(2, hidden=4).eval()
        >>> batch = EventBatch.from_sequences([[1.0, 2.5]], [[0, 1]], t_end=[4.0])
        >>> process.intensity(batch, torch.tensor([[0.5, 3.0]])).shape  # (b, q, k)
        torch.Size([1, 2, 2])
    """

    excitation = None
    rising = True  # an intensity may grow between events, and need not be monotone

    def __init__(self, num_types: int, *, hidden: int = 32, tolerance: float = 1e-6) -> None:
        """Create a process with random weights.

        Args:
            num_types: Number k of event types, at least 1.
            hidden: Width of the state.
            tolerance: Relative tolerance of each gap's integral outside training.

        Raises:
            ValueError: A number is below 1.
        """
        super().__init__()
        if min(num_types, hidden) < 1:
            raise ValueError(f"num_types and hidden must be at least 1; given {num_types}, {hidden}")
        self.num_types, self.hidden, self.tolerance = num_types, hidden, tolerance
        self.register_buffer("time_scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))
        self.log_softness = nn.Parameter(torch.zeros(num_types))
        self.from_type = nn.Embedding(num_types + 1, GATES * hidden)  # W and d; the last row is the start token's
        self.from_state = nn.Linear(hidden, GATES * hidden, bias=False)  # U
        self.head = nn.Linear(hidden, num_types, bias=False)
        self.reset_parameters(torch.ones(num_types))

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"num_types": self.num_types, "hidden": self.hidden, "tolerance": self.tolerance}

    @torch.no_grad()
    def reset_parameters(self, rates: Tensor) -> None:
        """Draw new weights, with which each type's intensity is close to `rates` (k,), on the scaled clock."""
        self.from_type.weight.normal_(std=self.hidden**-0.5)
        self.from_state.reset_parameters()
        self.head.weight.normal_(std=0.02)
        self.log_softness.copy_((rates / math.log(2)).log())  # softplus(0) = log 2

    @torch.no_grad()
    def scale_intensity_(self, factor: Tensor, *, excitation: bool = True) -> None:
        """Multiply the intensity of each type by a factor (k,), in place; `excitation` has no meaning here."""
        factor = factor.to(self.log_softness)
        self.log_softness.add_(factor.log())
        self.head.weight.mul_(factor[:, None])

    def numbers_per_event(self) -> int:
        """Return how many numbers the state holds per event."""
        return 4 * self.hidden

    def branching_matrix(self) -> Tensor:
        """Return zeros, (k, k): there is no classical part."""
        return torch.zeros(self.num_types, self.num_types, dtype=torch.float64)

    def encode(self, batch: EventBatch, carried: Carried | None = None) -> Levels:
        """Return the levels at every position.

        Args:
            batch: b sequences, padded to l events.
            carried: The history before t_start if the batch continues longer sequences; None if it does not.

        Returns:
            Levels with the link's argument just after each position as base (b, l + 1, k), and the cell's o, c, c' and delta as
            amplitude (b, l + 1, 4, hidden).
        """
        if carried is None:
            blank = self.from_type.weight.new_zeros(len(batch), 4, self.hidden)
            start = torch.full_like(batch.lengths, self.num_types)
            cell = self._after(start, blank, blank.new_zeros(len(batch)))
        else:
            cell = carried.network.states[0]
        cells, gaps = [cell], self._scaled(batch.gaps)
        for event in range(batch.times.shape[1]):
            cells.append(self._after(batch.types[:, event], cells[-1], gaps[:, event]))
        return self._levels(torch.stack(cells, 1))

    def hidden_and_levels(self, batch: EventBatch) -> tuple[Tensor, Levels]:
        """Return h (b, l + 1, hidden) just after every position, and the levels there."""
        levels = self.encode(batch)
        return _state(levels.amplitude), levels

    @torch.no_grad()
    def carry(self, batch: EventBatch, carried: Carried | None = None) -> Carried:
        """Return the history just after each sequence's last event, for a batch of the events that follow.

        Args:
            batch: b sequences; none may be empty.
            carried: The history before t_start; see `encode`.
        """
        rows, final = torch.arange(len(batch), device=batch.times.device), batch.lengths - 1
        cells = self.encode(batch, carried).amplitude[rows, batch.lengths]
        last = NetworkMemory(batch.types[rows, final], self._scaled(batch.gaps)[rows, final], (cells,))
        return Carried(last, None, None, None)

    def rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the intensity (g, q, k) at `elapsed` (g, q) after the event of each of g levels."""
        softness = self.log_softness.exp().to(levels.base)
        return soft_link(self._argument(levels, elapsed), softness) / self.time_scale.to(levels.base)

    def log_rate(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the logarithm of `rate`, accurate also where the rate itself underflows."""
        log_softness = self.log_softness.to(levels.base)
        return log_soft_link(self._argument(levels, elapsed), log_softness) - self.time_scale.log().to(levels.base)

    def upper_bound(self, levels: Levels, start: Tensor, end: Tensor) -> Tensor:
        """Return the link of sum_i max(w_ki h_i(start), w_ki h_i(end)), (g, k).

        Between events each channel of h is monotone, so that this bounds the intensity on [start, end].
        """
        both = _state(levels.amplitude[:, None], self._scaled(torch.stack([start, end], 1))[..., None])  # (g, 2, d)
        weighted = both[:, :, None] * self.head.weight.to(both)  # (g, 2, k, d)
        argument = weighted.amax(1).sum(-1)
        return soft_link(argument, self.log_softness.exp().to(argument)) / self.time_scale.to(argument)

    def integral(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the integral (g, k) of `rate` over [0, elapsed]; `elapsed` is (g,).

        It is adaptive to `tolerance`, and a fixed rule of eight nodes per gap while the process is in training mode.
        """
        if not self.training:
            levels = Levels(levels.base.double(), levels.amplitude.double())
        scale = self.time_scale.to(levels.base)
        length = elapsed.to(levels.base)
        fastest = levels.amplitude[:, 3].amax() / scale if len(length) else length.new_ones(())

        def rate(rows: Tensor, after: Tensor) -> Tensor:
            return self.rate(levels.at(rows), after)

        if self.training:
            return fixed_rule(rate, length, fastest, nodes=TRAINING_NODES)
        return integrate(rate, length, fastest, tolerance=self.tolerance)

    @torch.no_grad()
    def snapshot(self, batch: EventBatch) -> Snapshot:
        """Return the history of each sequence just after its last event."""
        batch.check_types(self.num_types)
        rows = torch.arange(len(batch), device=batch.times.device)
        time = gaps_of(batch).start[rows, batch.lengths].clone()
        return Snapshot(time, self.encode(batch).at(rows, batch.lengths), ())

    @torch.no_grad()
    def advance(self, snapshot: Snapshot, at: Tensor, types: Tensor) -> Snapshot:
        """Return the history after one more event of type `types` (b,) at time `at` (b,)."""
        cell = self._after(types, snapshot.levels.amplitude, self._scaled(at - snapshot.time))
        return Snapshot(at, self._levels(cell), ())

    def _after(self, types: Tensor, cell: Tensor, gap: Tensor) -> Tensor:
        """Return the cell (b, 4, d) just after an event of `types` (b,), `gap` (b,) after the event that set `cell`."""
        _, _, target, _ = cell.unbind(-2)
        c = _decayed(cell, gap[:, None])
        gates = self.from_type(types) + self.from_state(_state(cell, gap[:, None]))
        i, f, z, o, target_i, target_f, decay = gates.chunk(GATES, dim=-1)
        z = 2 * z.sigmoid() - 1
        now = f.sigmoid() * c + i.sigmoid() * z
        later = target_f.sigmoid() * target + target_i.sigmoid() * z
        return torch.stack([o.sigmoid(), now, later, functional.softplus(decay)], dim=-2)

    def _levels(self, cells: Tensor) -> Levels:
        return Levels(self.head(_state(cells)), cells)

    def _argument(self, levels: Levels, elapsed: Tensor) -> Tensor:
        """Return the link's argument (g, q, k)."""
        scaled = (elapsed / self.time_scale).to(levels.amplitude)
        h = _state(levels.amplitude[:, None], scaled[..., None])  # (g, q, d)
        return h @ self.head.weight.t().to(h)

    def _scaled(self, gaps: Tensor) -> Tensor:
        return (gaps / self.time_scale).to(self.log_softness)


def _decayed(cell: Tensor, elapsed: Tensor) -> Tensor:
    """Return c(t) (..., d) of cells (..., 4, d), `elapsed` (..., 1) after their event, on the scaled clock."""
    _, c, target, decay = cell.unbind(-2)
    return target + (c - target) * torch.exp(-decay * elapsed)


def _state(cell: Tensor, elapsed: Tensor | float = 0.0) -> Tensor:
    """Return h(t) (..., d) of cells (..., 4, d), `elapsed` (..., 1) after their event, on the scaled clock."""
    return cell[..., 0, :] * torch.tanh(_decayed(cell, torch.as_tensor(elapsed).to(cell)))
