"""The history that one piece of a sequence leaves to the next one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.hawkes.network import NetworkMemory


@dataclass(frozen=True)
class Carried:
    """The history of b sequences at an event in their middle; see `MambaHawkesProcess.carry`.

    Attributes:
        network: The event, the scaled gap before it, and the network's states before that event.
        sums: The classical part's decayed sums just after the event; None without a classical part.
        slopes: Derivatives of `sums` with respect to the log decay rates; None without a classical part.
        log_rate: The log decay rates at which `sums` was computed; None without a classical part.
    """

    network: NetworkMemory
    sums: Tensor | None
    slopes: Tensor | None
    log_rate: Tensor | None

    def at(self, rows: Tensor) -> Carried:
        """Return the histories of the rows `rows`, in that order."""
        types, gaps, states = self.network
        network = NetworkMemory(types[rows], gaps[rows], tuple(state[rows] for state in states))
        if self.sums is None:
            return Carried(network, None, None, None)
        return Carried(network, self.sums[rows], self.slopes[rows], self.log_rate)

    @classmethod
    def join(cls, parts: Sequence[Carried]) -> Carried:
        """Concatenate histories that were computed with the same parameters."""
        types, gaps, states = zip(*(part.network for part in parts))
        network = NetworkMemory(torch.cat(types), torch.cat(gaps), tuple(torch.cat(state) for state in zip(*states)))
        if parts[0].sums is None:
            return cls(network, None, None, None)
        sums, slopes = (torch.cat(column) for column in zip(*((part.sums, part.slopes) for part in parts)))
        return cls(network, sums, slopes, parts[0].log_rate)
