"""The absence of a process: the raw embedding of events, padded and masked (Pad&Mask, or noMHP, in M3TR's table 2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.events import EventBatch
from models.hawkes.row_source import RowSource


class RawEvents(RowSource):
    """A stand-in for a process, with no parameters, no intensity and no simulation.

    A row holds the event's type (one-hot), log1p of the gap before it and log1p of its time since t_start. The
    log-likelihood is 0, so that joint training has nothing to fit.

    Attributes:
        num_types: Number k of event types.

    Example:
        >>> events = EventBatch.from_sequences([[1.0, 3.0]], [[0, 1]], t_end=[4.0])
        >>> rows = RawEvents(2).rows_after(events, torch.tensor([[0]]), torch.tensor([[2]]))
        >>> rows.expm1()[0, 0, 2:].round(decimals=6).tolist()
        [2.0, 3.0]
    """

    simulates = False
    excitation = None

    def __init__(self, num_types: int) -> None:
        """Create the embedding for `num_types` types of events."""
        super().__init__()
        self.num_types, self.hidden = num_types, num_types + 2

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"num_types": self.num_types}

    @property
    def row_width(self) -> int:
        """Width of a row: there are no intensities."""
        return self.hidden

    def rows_after(self, batch: EventBatch, row: Tensor, position: Tensor) -> Tensor:
        """Return the embedding of some events, (b, n, row_width) float64; see `RowSource.rows_after`.

        Position 0, before the first event, has zeros.
        """
        batch.check_types(self.num_types)
        kinds = functional.one_hot(batch.types, self.num_types).double()
        since = batch.times - batch.t_start[:, None]
        rows = torch.cat([kinds, batch.gaps.log1p()[..., None], since.log1p()[..., None]], dim=-1)
        return functional.pad(rows, (0, 0, 1, 0))[row, position]

    def log_likelihood(self, batch: EventBatch, *, window: str = "observation") -> Tensor:
        """Return zeros, (b,) float64."""
        return torch.zeros(len(batch), dtype=torch.float64, device=batch.times.device)

    def branching_matrix(self) -> Tensor:
        """Return zeros, (k, k): no event causes another one."""
        return torch.zeros(self.num_types, self.num_types, dtype=torch.float64)
