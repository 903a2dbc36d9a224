"""The temporal embedding X^s of an item: events, completed by simulation, read by the process (M3TR 3.2.2, D)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from models import hawkes
from models.events import EventBatch, row_numbers
from models.hawkes import MambaHawkesProcess
from models.hawkes.history import gaps_of
from models.hawkes.neural_fit import shrink
from models.thinning import simulate

CONFIG, STANDARDISER, PROCESS = "temporal.json", "standardiser.pt", "process"
QUIET_HORIZON = 100.0  # in mean gaps a row: how long to wait for a quiet item's events before its rows are left masked
SHORTEST = 1e-3  # unit of time: an age below it counts as this much in the rate
SUMMARY = 4  # channels that are equal in every row of an item: observed count, age, rate, nominal window


@dataclass(frozen=True)
class Completed:
    """b event sequences brought to a common length, and how much of each was observed.

    events: observed events, followed by simulated ones.
    observed, simulated (b,): how many of the sequence's events were observed and how many simulated.
    total (b,): events observed in the window: more than `observed` where only the first ones entered the sequence.
    age (b,): how long the item had been observed, in the unit of the times.
    window (b,): length of the observation window that the protocol plans; `age` reaches it once the window is complete.
    """

    events: EventBatch
    observed: Tensor
    simulated: Tensor
    total: Tensor
    age: Tensor
    window: Tensor

    def __getitem__(self, rows: Tensor | Sequence[int] | slice) -> Completed:
        if not isinstance(rows, slice):
            rows = row_numbers(rows, len(self.events))
        return Completed(*(getattr(self, field.name)[rows] for field in fields(self)))


class TemporalEncoder(nn.Module):
    """Rows of fixed number and width from event sequences, differentiable in the process's parameters.

    One row per event (`length` evenly spaced events, first and last among them, where there are more). A row holds
    h just after the event (hidden), the log intensity of each type just after it (k), log1p of its time, log1p of its
    rank, and 1 if it was observed or 0 if simulated. Four channels are the item's, equal in all its rows: log1p of the
    observed count, of the age, of the observed events per unit of time, and of the planned window. Each channel is
    standardised once `fit_standardiser` has seen the training items. Times are in the unit of the batch (hours in the
    pipeline).
    """

    def __init__(self, process: MambaHawkesProcess, *, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"length must be at least 1; given {length}")
        self.process, self.length = process, length
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("std", torch.ones(self.width))

    @property
    def width(self) -> int:
        return self.process.hidden + self.process.num_types + 3 + SUMMARY

    def complete(
        self,
        batch: EventBatch,
        *,
        seeds: Sequence[int] | Tensor,
        total: Tensor | None = None,
        age: Tensor | None = None,
        window: Tensor | None = None,
        max_events: int | None = None,
    ) -> Completed:
        """Continue every sequence from its t_end by thinning, given the observed events, until it has `length` events.

        An item's simulated events depend on its own seed, not on the batch. No sequence is followed for longer than
        100 * length mean gaps after its t_end; rows that are still missing then are masked by `forward`. A branching
        ratio of 1 or more is allowed here, because the number of events is bounded.

        Args:
            batch: the observed events that the process reads, each sequence up to its t_end.
            seeds: one seed per sequence.
            total: (b,) events observed in each window; the sequence's length if None. A sequence that holds only the
                first of its window's events is not continued: what came next was observed.
            age: (b,) how long each item had been observed; t_end if None. Later than t_end where the sequence was cut
                at a number of events.
            window: (b,) planned length of the observation window; `age` if None.
            max_events: largest number of simulated events per sequence; no limit but `length` if None.

        Raises:
            SimulationError: the process's intensity is not finite.
        """
        total = batch.lengths if total is None else total
        age = batch.t_end if age is None else age
        needed = torch.clamp(self.length - batch.lengths, min=0).where(total <= batch.lengths, 0)
        if max_events is not None:
            needed = needed.clamp_max(max_events)
        until = batch.t_end + QUIET_HORIZON * self.length * float(self.process.time_scale)
        was_training = self.process.training
        events = simulate(
            self.process, batch, length=batch.lengths + needed, until=until, seeds=seeds, allow_unstable=True
        )
        self.process.train(was_training)
        simulated = events.lengths - batch.lengths
        return Completed(events, batch.lengths, simulated, total, age, age if window is None else window)

    def forward(self, completed: Completed) -> tuple[Tensor, Tensor]:
        """rows (b, length, width) and mask (b, length), True where there is an event."""
        rows, mask = self._raw(completed)
        return torch.where(mask[..., None], (rows - self.mean) / self.std, 0.0), mask

    def log_likelihood(self, batch: EventBatch) -> Tensor:
        """(b,) float64 log-likelihood of the observed window, in the unit of the times."""
        return self.process.log_likelihood(batch)

    def constrain_(
        self, optimiser: torch.optim.Optimizer, *, penalty: str | None, strength: float, max_branching: float | None
    ) -> None:
        """Bring the process back to what a fitted one satisfies, after a step of Adam: influences >= 0, a stable process.

        Args:
            optimiser: Adam or AdamW, which has just taken a step of the process.
            penalty: "mcp" or "scad" takes the penalty's proximal step before, which keeps and makes exact zeros; None: no
                penalty.
            strength: the penalty's gamma, in units of the loss that the optimiser minimises.
            max_branching: largest branching ratio; None for no bound.
        """
        if penalty is not None and self.process.excitation is not None:
            shrink(self.process, optimiser, penalty, strength)
        self.process.project_(max_branching=max_branching)

    @torch.no_grad()
    def fit_standardiser(self, completed_batches: Iterable[Completed]) -> None:
        """Take each channel's mean and standard deviation over the events of the (training) items given."""
        count, total, square = (
            0,
            torch.zeros(self.width, dtype=torch.float64),
            torch.zeros(self.width, dtype=torch.float64),
        )
        for completed in completed_batches:
            rows, mask = self._raw(completed)
            rows = rows[mask].double()
            count, total, square = count + len(rows), total + rows.sum(0), square + rows.square().sum(0)
        if count == 0:
            raise ValueError("the standardiser needs at least one event")
        mean = total / count
        deviation = (square / count - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(torch.where(deviation > 1e-4, deviation, 1.0))  # a constant channel stays at 0, not at noise

    def _raw(self, completed: Completed) -> tuple[Tensor, Tensor]:
        events = completed.events
        event = _evenly_spaced(events.lengths, self.length)
        mask = torch.arange(self.length, device=event.device) < events.lengths[:, None]
        position = torch.where(mask, event + 1, 0)
        row = torch.arange(len(events), device=event.device)[:, None].expand_as(position)
        h = self.process.hidden_states(events)
        levels = self.process.levels(events, h).at(row.flatten(), position.flatten())
        time = gaps_of(events).start[row, position]
        just_after = torch.zeros(position.numel(), 1, dtype=torch.float64, device=time.device)
        log_rate = self.process.log_rate(levels, just_after).view(*position.shape, self.process.num_types)
        total, age = completed.total.double(), completed.age
        summary = torch.stack([total, age, total / age.clamp_min(SHORTEST), completed.window], dim=-1).log1p()
        channels = [
            h[row, position],
            log_rate,
            time.log1p()[..., None],
            position.double().log1p()[..., None],
            (event < completed.observed[:, None]).double()[..., None],
            summary[:, None].expand(-1, self.length, -1),
        ]
        return torch.cat([channel.to(self.mean) for channel in channels], dim=-1), mask


def _evenly_spaced(lengths: Tensor, count: int) -> Tensor:
    """(b, count) indices of events: 0, 1, ... where there are at most `count`, else evenly spaced, first to last."""
    index = torch.arange(count, device=lengths.device).expand(len(lengths), count)
    if count == 1:
        return index
    spread = (index * (lengths[:, None] - 1) + (count - 1) // 2) // (count - 1)
    return torch.where(lengths[:, None] > count, spread, index)


def save(encoder: TemporalEncoder, folder: str | Path) -> None:
    """Write the encoder and its process to `folder` (made if absent)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    hawkes.save(encoder.process, folder / PROCESS)
    torch.save({"mean": encoder.mean, "std": encoder.std}, folder / STANDARDISER)
    (folder / CONFIG).write_text(json.dumps({"length": encoder.length}) + "\n")


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> TemporalEncoder:
    """The encoder saved in `folder`, in eval mode. Raises ValueError where the folder holds none."""
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} holds no temporal encoder: there is no {CONFIG}")
    process = hawkes.load(folder / PROCESS, device=device)
    encoder = TemporalEncoder(process, length=json.loads((folder / CONFIG).read_text())["length"]).to(device)
    standardiser = torch.load(folder / STANDARDISER, map_location=device, weights_only=True)
    encoder.mean.copy_(standardiser["mean"])
    encoder.std.copy_(standardiser["std"])
    return encoder.eval()
