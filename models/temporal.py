"""Temporal embedding X^s of an item: its events, extended by simulation and encoded by a process (M3TR 3.2.2, D)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from models import hawkes
from models.events import EventBatch, row_numbers
from models.hawkes.history import gaps_of
from models.hawkes.neural_fit import shrink
from models.hawkes.row_source import RowSource
from models.hawkes.similar_lengths import rows_in_order, similar_lengths
from models.single_thinning import Simulator
from models.thinning import HISTORIES, simulate

CONFIG, STANDARDISER, PROCESS = "temporal.json", "standardiser.pt", "process"
QUIET_HORIZON = (
    100.0  # mean gaps per row; simulation of a quiet item stops after this time, and its missing rows are masked
)
SHORTEST = 1e-3  # units of time; the rate uses at least this age
Channels = Literal["state", "state+rate", "all", "handmade"]
# The hand-made channels in their order: the first three differ between the rows of an item, the others don't.
HANDMADE = ("time", "rank", "observed", "count", "age", "rate", "window")
# channels -> whether a row holds the process's state and log intensities, and its hand-made channels
CHANNELS: dict[Channels, tuple[bool, tuple[str, ...]]] = {
    "state": (True, ()),
    "state+rate": (True, ("count", "rate")),
    "all": (True, HANDMADE),
    "handmade": (False, HANDMADE),
}


@dataclass(frozen=True)
class Completed:
    """b event sequences extended to a common length, with the observed part of each.

    Attributes:
        events: Observed events, followed by simulated ones.
        observed: (b,) number of observed events in the sequence.
        simulated: (b,) number of simulated events in the sequence.
        total: (b,) events observed in the window. It exceeds `observed` if only the first ones are in the sequence.
        age: (b,) time for which the item was observed, in the unit of the times.
        window: (b,) planned length of the observation window. `age` equals it once the window is complete.
    """

    events: EventBatch
    observed: Tensor
    simulated: Tensor
    total: Tensor
    age: Tensor
    window: Tensor

    @classmethod
    def unextended(
        cls, batch: EventBatch, total: Tensor | None, age: Tensor | None, window: Tensor | None
    ) -> Completed:
        """Return sequences without simulated events; for None see `TemporalEncoder.complete`."""
        age = batch.t_end if age is None else age
        return cls(
            events=batch,
            observed=batch.lengths,
            simulated=torch.zeros_like(batch.lengths),
            total=batch.lengths if total is None else total,
            age=age,
            window=age if window is None else window,
        )

    def __getitem__(self, rows: Tensor | Sequence[int] | slice) -> Completed:
        """Return some of the sequences; see `EventBatch.__getitem__`."""
        if not isinstance(rows, slice):
            rows = row_numbers(rows, len(self.events))
        return Completed(*(getattr(self, field.name)[rows] for field in fields(self)))


class TemporalEncoder(nn.Module):
    """Encoder of event sequences as a fixed number of rows, differentiable in the process's parameters.

    There is one row per event. A sequence of more than `length` events has rows for `length` evenly spaced ones, including the
    first and the last. A row contains h just after the event (hidden channels) and the log intensity of each type just after
    it (k channels), as in the papers, and up to seven hand-made channels: log1p of the event's time, log1p of its rank, 1 for
    an observed or 0 for a simulated event; and, equal in all rows of an item, log1p of the observed count, of the age, of the
    observed events per unit of time, and of the planned window. `fit_standardiser` fits the standardisation of each channel to
    the training items. Times are in the unit of the batch (hours in the pipeline).

    Example:
        >>> from models.hawkes import MambaHawkesProcess
        >>> encoder = TemporalEncoder(MambaHawkesProcess(2), length=5)
        >>> batch = EventBatch.from_sequences([[0.5, 1.0], [2.0]], [[0, 1], [0]], t_end=[3.0, 3.0])
        >>> completed = encoder.complete(batch, seeds=[1, 2])
        >>> rows, mask = encoder(completed)
        >>> rows.shape == (2, 5, encoder.width), mask.shape
        (True, torch.Size([2, 5]))
    """

    def __init__(
        self,
        process: RowSource,
        *,
        length: int,
        channels: Channels = "all",
        history: Literal["updated", "frozen"] = "updated",
    ) -> None:
        """Build the encoder.

        Args:
            process: The process; it becomes a submodule. `models.hawkes.RawEvents` stands for none: sequences are not extended.
            length: Rows per item.
            channels: Channels of a row. "state": h and the log intensities, as in the papers. "state+rate": these, the count
                and the rate. "all": these and all hand-made channels. "handmade": the hand-made channels alone; then the
                process only simulates.
            history: Whether simulated events change the intensity of later ones; see `models.thinning.simulate`.

        Raises:
            ValueError: The length is below 1, or the channels or the history are unknown.
        """
        super().__init__()
        if length < 1:
            raise ValueError(f"length must be at least 1; given {length}")
        if channels not in CHANNELS:
            raise ValueError(f"channels must be one of {', '.join(get_args(Channels))}; given {channels!r}")
        if history not in HISTORIES:
            raise ValueError(f"history must be one of {', '.join(HISTORIES)}; given {history!r}")
        self.process, self.length, self.channels, self.history = process, length, channels, history
        # Influences that are exactly 0 before any further training, which a penalised training leaves at 0.
        self.register_buffer("support", process.branching_matrix() > 0, persistent=False)
        self.register_buffer("mean", torch.zeros(self.width))
        self.register_buffer("std", torch.ones(self.width))

    @property
    def width(self) -> int:
        """Width of a row."""
        with_state, handmade = CHANNELS[self.channels]
        return with_state * self.process.row_width + len(handmade)

    def complete(
        self,
        batch: EventBatch,
        *,
        seeds: Sequence[int] | Tensor,
        total: Tensor | None = None,
        age: Tensor | None = None,
        window: Tensor | None = None,
        max_events: int | None = None,
        simulator: Simulator | None = None,
    ) -> Completed:
        """Extend every sequence to `length` events by thinning from its t_end, conditional on the observed events.

        An item's simulated events depend on its own seed, not on the batch. A window of age 0 without an event is not extended:
        nothing of the item was observed yet. Simulation stops 100 * length mean gaps after t_end; `forward` masks the rows
        that are still missing. A branching ratio of 1 or more is allowed here, because the number of events is bounded.

        Args:
            batch: The observed events that the process reads, each sequence up to its t_end.
            seeds: One seed per sequence.
            total: (b,) events observed in each window; None is the sequence's length. A sequence that contains only the
                first events of its window is not extended, because its next events were observed.
            age: (b,) time for which each item was observed; None is t_end. It is later than t_end if the sequence was cut
                at a number of events.
            window: (b,) planned length of the observation window; None is `age`.
            max_events: Largest number of simulated events per sequence; None sets no limit besides `length`.
            simulator: What continues the sequences, with this process; None is `models.thinning.simulate`.

        Returns:
            The extended sequences.

        Raises:
            SimulationError: The process's intensity is not finite.
        """
        given = Completed.unextended(batch, total, age, window)
        if not self.process.simulates:
            return given
        is_extended = (given.total <= given.observed) & ((given.age > 0) | (given.total > 0))
        needed = torch.clamp(self.length - batch.lengths, min=0).where(is_extended, 0)
        if max_events is not None:
            needed = needed.clamp_max(max_events)
        until = batch.t_end + QUIET_HORIZON * self.length * float(self.process.time_scale)
        was_training = self.process.training
        simulator = simulator or partial(simulate, self.process, allow_unstable=True)
        events = simulator(batch, length=batch.lengths + needed, until=until, seeds=seeds, history=self.history)
        self.process.train(was_training)
        return replace(given, events=events, simulated=events.lengths - batch.lengths)

    def forward(self, completed: Completed) -> tuple[Tensor, Tensor]:
        """Return rows (b, length, width) and their mask (b, length), True where there is an event."""
        rows, mask = self._raw(completed)
        return torch.where(mask[..., None], (rows - self.mean) / self.std, 0.0), mask

    def log_likelihood(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        """Return the log-likelihood of b sequences, (b,) float64, in the unit of the times.

        Args:
            batch: The sequences.
            window: "observation" or "events"; see `models.hawkes.process.PointProcess.log_likelihood`.
        """
        groups = list(similar_lengths(batch.lengths))
        return rows_in_order(groups, [self.process.log_likelihood(batch[group], window=window) for group in groups])

    def mean_state(self, batch: EventBatch) -> Tensor:
        """Return the mean of the process's state h after each event, (b, hidden); zeros for a sequence without events."""
        groups = list(similar_lengths(batch.lengths))
        means = []
        for group in groups:
            part = batch[group]
            position = torch.arange(part.times.shape[1], device=part.times.device).expand(part.times.shape)
            happened = position < part.lengths[:, None]
            row = torch.arange(len(part), device=position.device)[:, None].expand_as(position)
            h = self.process.rows_after(part, row, torch.where(happened, position + 1, 0))[..., : self.process.hidden]
            means.append((h * happened[..., None]).sum(1) / part.lengths[:, None].clamp(min=1))
        return rows_in_order(groups, means)

    def constrain_(
        self, optimiser: torch.optim.Optimizer, *, penalty: str | None, strength: float, max_branching: float | None
    ) -> None:
        """Restore the constraints of a fitted process after an optimiser step: influences >= 0, and stability.

        Args:
            optimiser: Adam or AdamW, which has just taken a step.
            penalty: "mcp" or "scad" first takes the penalty's proximal step, which creates exact zeros, and sets the influences
                that were 0 when the encoder was built to 0 again. None does neither.
            strength: The penalty's gamma, in units of the loss that the optimiser minimises.
            max_branching: Largest branching ratio; None for no bound.
        """
        if penalty is not None and self.process.excitation is not None:
            shrink(self.process, optimiser, penalty, strength)
        self.process.project_(max_branching=max_branching, support=None if penalty is None else self.support)

    @torch.no_grad()
    def fit_standardiser(self, completed_batches: Iterable[Completed]) -> None:
        """Fit each channel's mean and standard deviation to the events of the training items.

        Args:
            completed_batches: The training items, in batches.

        Raises:
            ValueError: There is no event.
        """
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
            raise ValueError("the standardiser needs at least one event, given none")
        mean = total / count
        deviation = (square / count - mean.square()).clamp_min(0).sqrt()
        self.mean.copy_(mean)
        self.std.copy_(
            torch.where(deviation > 1e-4, deviation, 1.0)
        )  # a constant channel becomes 0 instead of amplified rounding noise

    def _raw(self, completed: Completed) -> tuple[Tensor, Tensor]:
        groups = list(similar_lengths(completed.events.lengths))
        rows, masks = zip(*(self._raw_group(completed[group]) for group in groups))
        return rows_in_order(groups, rows), rows_in_order(groups, masks)

    def _raw_group(self, completed: Completed) -> tuple[Tensor, Tensor]:
        events = completed.events
        event = _evenly_spaced(events.lengths, self.length)
        mask = torch.arange(self.length, device=event.device) < events.lengths[:, None]
        position = torch.where(mask, event + 1, 0)
        row = torch.arange(len(events), device=event.device)[:, None].expand_as(position)
        with_state, handmade = CHANNELS[self.channels]
        parts = []
        if with_state:
            parts.append(self.process.rows_after(events, row, position))
        total, age = completed.total.double(), completed.age
        by_name = {
            "time": gaps_of(events).start[row, position].log1p(),
            "rank": position.double().log1p(),
            "observed": (event < completed.observed[:, None]).double(),
        }
        by_item = {"count": total, "age": age, "rate": total / age.clamp_min(SHORTEST), "window": completed.window}
        by_name |= {name: value.log1p()[:, None].expand(-1, self.length) for name, value in by_item.items()}
        parts += [by_name[name][..., None] for name in handmade]
        return torch.cat([part.to(self.mean) for part in parts], dim=-1), mask


@dataclass(frozen=True)
class RowlessEncoder:
    """Encoder for data on which no process could be fitted: sequences are not extended and have no rows.

    It has the members of `TemporalEncoder` that make temporal embeddings.

    Attributes:
        length: Rows per item, all of them masked.

    Example:
        >>> encoder = RowlessEncoder(length=5)
        >>> completed = encoder.complete(EventBatch.from_sequences([[]], [[]], t_end=[24.0]), seeds=[1])
        >>> int(completed.simulated), bool(encoder(completed)[1].any())
        (0, False)
    """

    length: int
    width = 1

    def complete(
        self,
        batch: EventBatch,
        *,
        seeds: Sequence[int] | Tensor,
        total: Tensor | None = None,
        age: Tensor | None = None,
        window: Tensor | None = None,
        simulator: Simulator | None = None,
    ) -> Completed:
        """Return the sequences as they are; see `TemporalEncoder.complete`."""
        return Completed.unextended(batch, total, age, window)

    def __call__(self, completed: Completed) -> tuple[Tensor, Tensor]:
        """Return zeros (b, length, 1) and a mask (b, length) that is False everywhere."""
        rows = torch.zeros(len(completed.events), self.length, self.width)
        return rows, torch.zeros(rows.shape[:2], dtype=torch.bool)

    def log_likelihood(self, batch: EventBatch) -> Tensor:
        """Return zeros, (b,) float64."""
        return torch.zeros(len(batch), dtype=torch.float64)


def _evenly_spaced(lengths: Tensor, count: int) -> Tensor:
    """Return (b, count) indices of events: 0, 1, ... for at most `count` events, otherwise evenly spaced, first to last."""
    index = torch.arange(count, device=lengths.device).expand(len(lengths), count)
    if count == 1:
        return index
    spread = (index * (lengths[:, None] - 1) + (count - 1) // 2) // (count - 1)
    return torch.where(lengths[:, None] > count, spread, index)


def save(encoder: TemporalEncoder, folder: str | Path) -> None:
    """Write an encoder and its process to a folder.

    Args:
        encoder: The encoder.
        folder: The folder; it is created if it does not exist.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    hawkes.save(encoder.process, folder / PROCESS)
    torch.save({"mean": encoder.mean, "std": encoder.std}, folder / STANDARDISER)
    config = {"length": encoder.length, "channels": encoder.channels, "history": encoder.history}
    (folder / CONFIG).write_text(json.dumps(config) + "\n")


def load(folder: str | Path, *, device: torch.device | str = "cpu") -> TemporalEncoder:
    """Return a saved encoder in evaluation mode.

    Args:
        folder: A folder written by `save`.
        device: Device of the encoder.

    Returns:
        The encoder.

    Raises:
        ValueError: The folder holds no encoder.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} holds no temporal encoder: there is no {CONFIG}")
    process = hawkes.load(folder / PROCESS, device=device)
    encoder = TemporalEncoder(process, **json.loads((folder / CONFIG).read_text())).to(device)
    standardiser = torch.load(folder / STANDARDISER, map_location=device, weights_only=True)
    encoder.mean.copy_(standardiser["mean"])
    encoder.std.copy_(standardiser["std"])
    return encoder.eval()
