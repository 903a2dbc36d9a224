"""Long sequences cut into pieces, so that memory does not grow with their length and a pass takes several optimiser steps.

A piece consists of consecutive events of a sequence and the gaps before them. The last piece also has the gap after them.
Each piece starts from the history that the earlier pieces left (`Carried`), so the log-likelihoods of the pieces add up to
that of the sequence.

In training, gradients of the network do not flow through that history, as in truncated backpropagation through time. The
derivative with respect to the classical part's decay rates is carried along, so their gradient is that of the whole sequence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.carried_history import Carried
from models.hawkes.history import counted_events, on_window_clock
from models.hawkes.mamba import MambaHawkesProcess
from models.hawkes.similar_lengths import CELLS, similar_lengths

LONGEST = 512  # most events per piece
NUMBERS = 2**24  # most numbers in the classical part's states of a batch


@dataclass(frozen=True)
class Part:
    """Some pieces as one batch.

    Attributes:
        numbers: (b,) int64, the pieces' numbers.
        batch: The pieces' events.
        carried: The history before them; None for pieces at the start of their sequence.
        window: The window of their likelihood, "observation" or "events".
    """

    numbers: Tensor
    batch: EventBatch
    carried: Carried | None
    window: str


class Pieces:
    """The pieces of a set of sequences, in batches, with the histories that they start from.

    Attributes:
        rows: (n,) int64, each piece's sequence.
        begins: (n,) int64, number of each piece's first event in its sequence.
        ends: (n,) int64, number of the event after each piece's last one.
        scored: Number of events whose intensities the likelihood multiplies.
    """

    def __init__(self, process: MambaHawkesProcess, events: EventBatch, window: str) -> None:
        """Cut the sequences into pieces whose size suits the memory that `process` needs per event."""
        self._window = window
        self._events = on_window_clock(events, window)
        self._cells = max(1, min(CELLS, NUMBERS // process.numbers_per_event()))
        longest = min(LONGEST, self._cells)
        rows, begins, ends, last = [], [], [], []
        for row, length in enumerate(self._events.lengths.tolist()):
            cuts = [0, length]
            if length > longest:
                cuts = _cuts(self._events.times[row, :length].cpu().numpy(), longest)
            rows += [row] * (len(cuts) - 1)
            begins += cuts[:-1]
            ends += cuts[1:]
            last += [False] * (len(cuts) - 2) + [True]
        self.rows, self.begins, self.ends = (torch.tensor(part, dtype=torch.int64) for part in (rows, begins, ends))
        self._last = torch.tensor(last, dtype=torch.bool)
        self.scored = int(counted_events(self._events, window).sum())
        # row of `_table` that holds the history of each piece that continues a sequence
        self._place = (self.begins > 0).long().cumsum(0) - 1
        self._table: Carried | None = None

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self.rows)

    @property
    def lengths(self) -> Tensor:
        """Events per piece."""
        return self.ends - self.begins

    def parts(self, numbers: Tensor) -> Iterator[Part]:
        """Yield the pieces `numbers` in batches of similar length, with the histories of the last `refresh`."""
        for group in self._split(numbers):
            fresh = int(self.begins[group[0]]) == 0
            yield self._part(group, None if fresh else self._table.at(self._place[group]))

    def walk(self, process: MambaHawkesProcess) -> Iterator[Part]:
        """Yield all pieces in batches, with histories computed from the current parameters of `process`."""
        at = self.begins == 0
        number = torch.arange(len(self))
        waiting = [(number[at], None)]
        while waiting:
            numbers, carried = waiting.pop()
            for group in self._split(numbers):
                # `numbers` is ascending, and the rows of `carried` are in the same order
                before = None if carried is None else carried.at(torch.searchsorted(numbers, group))
                part = self._part(group, before)
                yield part
                on = ~self._last[group]
                if bool(on.any()):
                    rows = on.nonzero().squeeze(1)
                    order = group[rows].argsort()
                    after = process.carry(part.batch, part.carried).at(rows[order])
                    waiting.append((group[rows][order] + 1, after))

    @torch.no_grad()
    def refresh(self, process: MambaHawkesProcess) -> None:
        """Recompute the histories that `parts` uses, with the current parameters of `process`."""
        if bool((self.begins == 0).all()):
            return
        training = process.training
        process.eval()
        histories = [(part.numbers, part.carried) for part in self.walk(process) if part.carried is not None]
        order = torch.cat([numbers for numbers, _ in histories]).argsort()
        self._table = Carried.join([carried for _, carried in histories]).at(order)
        process.train(training)

    def _part(self, numbers: Tensor, carried: Carried | None) -> Part:
        events, device = self._events, self._events.times.device
        rows, begins, ends = (part[numbers].to(device) for part in (self.rows, self.begins, self.ends))
        lengths = ends - begins
        index = begins[:, None] + torch.arange(int(lengths.max()) if len(lengths) else 0, device=device)
        index = index.clamp_max(max(events.times.shape[1] - 1, 0))
        times, types = (part[rows[:, None], index] for part in (events.times, events.types))
        before = events.times[rows, (begins - 1).clamp_min(0)] if events.times.shape[1] else events.t_start[rows]
        start = torch.where(begins > 0, before, events.t_start[rows])
        final = start if times.shape[1] == 0 else times.gather(1, (lengths - 1).clamp_min(0)[:, None]).squeeze(1)
        window = self._window if carried is None else "observation"
        # With "events" the integral ends at the last event. The first piece's own window ensures that; a later piece has
        # the window "observation", so its t_end must be its last event.
        whole = self._last[numbers].to(device) & (window == self._window)
        end = torch.where(whole, events.t_end[rows], torch.where(lengths > 0, final, start))
        batch = EventBatch(times, types, lengths, end, start)
        return Part(numbers, batch, carried, window)

    def _split(self, numbers: Tensor) -> Iterator[Tensor]:
        """Yield batches of pieces of similar length; pieces at the start of a sequence are in batches of their own."""
        for group in (numbers[self.begins[numbers] == 0], numbers[self.begins[numbers] > 0]):
            if len(group):
                yield from (group[part] for part in similar_lengths(self.lengths[group], cells=self._cells))


def _cuts(times: np.ndarray, longest: int) -> list[int]:
    """Return where to cut a sequence, from 0 to its length: pieces of about equal size, never between tied events."""
    count = -(-len(times) // longest)
    cuts = [0]
    for place in np.linspace(0, len(times), count + 1).round().astype(int)[1:-1].tolist():
        while place < len(times) and times[place] == times[place - 1]:
            place += 1
        if cuts[-1] < place < len(times):
            cuts.append(place)
    return [*cuts, len(times)]
