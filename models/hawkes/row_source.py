"""The base class of processes that make temporal rows: they have a state h after every event."""

from __future__ import annotations

import torch
from torch import Tensor

from models.events import EventBatch
from models.hawkes.process import Levels, PointProcess


class RowSource(PointProcess):
    """A process with a state h per position, from which `models.temporal` makes an item's rows (M3TR section 3.2).

    Attributes:
        hidden: Width of h.
        simulates: Whether `models.thinning.simulate` can continue a sequence.
        time_scale: A float64 buffer, a typical gap in the unit of the event times.
    """

    hidden: int
    simulates: bool = True
    time_scale: Tensor

    def hidden_and_levels(self, batch: EventBatch) -> tuple[Tensor, Levels]:
        """Return h (b, l + 1, hidden) before the first event and just after every event, and the levels there."""
        raise NotImplementedError

    @property
    def row_width(self) -> int:
        """Width of a row that `rows_after` returns."""
        return self.hidden + self.num_types

    def rows_after(self, batch: EventBatch, row: Tensor, position: Tensor) -> Tensor:
        """Return h and the log intensity of each type just after some events.

        Args:
            batch: b sequences, padded to l events.
            row: (b, n) numbers of sequences.
            position: (b, n) positions in them; 0 is before the first event.

        Returns:
            (b, n, row_width).
        """
        h, levels = self.hidden_and_levels(batch)
        levels = levels.at(row.flatten(), position.flatten())
        just_after = torch.zeros(position.numel(), 1, dtype=torch.float64, device=position.device)
        log_rate = self.log_rate(levels, just_after).view(*position.shape, self.num_types)
        return torch.cat([h[row, position], log_rate.to(h)], dim=-1)
