"""Long sequences in pieces: several optimiser steps per pass over them, and memory that does not grow with their length.

A piece is some consecutive events of a sequence and the gaps before them; the last one also has the gap after them. The
log-likelihoods of a sequence's pieces add up to its own, because each piece starts from the history that the ones before it
left (`Carried`). In training that history is a constant to the network, as in truncated backpropagation through time; of the
decay rates of the classical part it also keeps the derivative, so that their gradient is the whole sequence's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.history import counted_events, on_window_clock
from models.hawkes.mamba import Carried, MambaHawkesProcess

LONGEST = 512  # events per piece
NUMBERS = 2**24  # of the classical part's states that a batch may hold
CELLS = 2**16  # events with padding that a batch may hold
WASTE = 2048  # padded cells above which a second batch costs less


@dataclass(frozen=True)
class Part:
    """Some pieces as one batch: their numbers, their events, the history before them, and the window of their likelihood."""

    numbers: Tensor
    batch: EventBatch
    carried: Carried | None
    window: str


class Pieces:
    """The pieces of a set of sequences, in batches, with the histories that they start from."""

    def __init__(self, process: MambaHawkesProcess, events: EventBatch, window: str) -> None:
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
        # place of each continuing piece's history in the table
        self._place = (self.begins > 0).long().cumsum(0) - 1
        self._table: Carried | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Tensor:
        """Events per piece."""
        return self.ends - self.begins

    def parts(self, numbers: Tensor) -> Iterator[Part]:
        """The pieces `numbers` in batches of similar length, from the histories that `refresh` found last."""
        for chosen in self._split(numbers):
            fresh = int(self.begins[chosen[0]]) == 0
            yield self._part(chosen, None if fresh else self._table.at(self._place[chosen]))

    def walk(self, process: MambaHawkesProcess) -> Iterator[Part]:
        """All pieces in batches, each from the history that the process as it is leaves before it."""
        at = self.begins == 0
        number = torch.arange(len(self))
        waiting = [(number[at], None)]
        while waiting:
            numbers, carried = waiting.pop()
            for chosen in self._split(numbers):
                # both are in ascending order of the pieces' numbers
                before = None if carried is None else carried.at(torch.searchsorted(numbers, chosen))
                part = self._part(chosen, before)
                yield part
                on = ~self._last[chosen]
                if bool(on.any()):
                    rows = on.nonzero().squeeze(1)
                    order = chosen[rows].argsort()
                    after = process.carry(part.batch, part.carried).at(rows[order])
                    waiting.append((chosen[rows][order] + 1, after))

    @torch.no_grad()
    def refresh(self, process: MambaHawkesProcess) -> None:
        """Find the histories anew, with the process's parameters as they are."""
        if bool((self.begins == 0).all()):
            return
        training = process.training
        process.eval()
        found = [(part.numbers, part.carried) for part in self.walk(process) if part.carried is not None]
        order = torch.cat([numbers for numbers, _ in found]).argsort()
        self._table = Carried.join([carried for _, carried in found]).at(order)
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
        # with "events" the integral ends at the last event, which a beginning's window sees to
        whole = self._last[numbers].to(device) & (window == self._window)
        end = torch.where(whole, events.t_end[rows], torch.where(lengths > 0, final, start))
        batch = EventBatch(times, types, lengths, end, start)
        return Part(numbers, batch, carried, window)

    def _split(self, numbers: Tensor) -> Iterator[Tensor]:
        """Batches of pieces: beginnings apart from continuations, of similar length, and none too large."""
        for chosen in (numbers[self.begins[numbers] == 0], numbers[self.begins[numbers] > 0]):
            lengths = self.lengths[chosen]
            order = lengths.argsort(descending=True, stable=True)
            lengths, begin = lengths[order].tolist(), 0
            while begin < len(lengths):
                longest, waste, end = max(lengths[begin], 1), 0, begin + 1
                while end < len(lengths) and (end - begin + 1) * longest <= self._cells:
                    waste += longest - lengths[end]
                    if waste > WASTE:
                        break
                    end += 1
                yield chosen[order[begin:end]]
                begin = end


def _cuts(times: np.ndarray, longest: int) -> list[int]:
    """Where to cut a sequence: 0, ..., its length; pieces of about equal size, never between tied events."""
    count = -(-len(times) // longest)
    cuts = [0]
    for place in np.linspace(0, len(times), count + 1).round().astype(int)[1:-1].tolist():
        while place < len(times) and times[place] == times[place - 1]:
            place += 1
        if cuts[-1] < place < len(times):
            cuts.append(place)
    return [*cuts, len(times)]
