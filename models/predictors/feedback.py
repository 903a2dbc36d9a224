"""Protocols of the point process that is trained inside a predictor, and the feedback that it reads.

`models.temporal` and `models.events` implement these protocols. The predictors import neither, so that another process can
take their place.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor


class Events(Protocol):
    """b event sequences; `models.events.EventBatch` is one."""

    lengths: Tensor  # (b,) int64, events of each sequence

    def __len__(self) -> int:
        """Return b."""
        ...

    def __getitem__(self, rows: Tensor) -> Events:
        """Return the sequences at `rows`."""
        ...

    def to(self, device: torch.device | str) -> Events:
        """Return the same sequences on another device."""
        ...


class Completed(Protocol):
    """Event sequences that simulation has extended to a fixed length; `models.temporal.Completed`, a dataclass, is one."""

    events: Events

    def __getitem__(self, rows: Tensor) -> Completed:
        """Return the sequences at `rows`."""
        ...


class TemporalEncoder(Protocol):
    """A point process that makes temporal rows; `models.temporal.TemporalEncoder`, an nn.Module, is one."""

    width: int

    def __call__(self, completed: Completed) -> tuple[Tensor, Tensor]:
        """Return rows (b, L, width) and their mask (b, L)."""
        ...

    def log_likelihood(self, events: Any, *, window: str = "observation") -> Tensor:
        """Return the log-likelihood (b,) of sequences: of whole windows, or with "events" from the first event to the last."""
        ...

    def mean_state(self, events: Any) -> Tensor:
        """Return the mean (b, h) of the process's state after each event."""
        ...

    def constrain_(
        self, optimiser: torch.optim.Optimizer, *, penalty: str | None, strength: float, max_branching: float | None
    ) -> None:
        """Apply the process's penalty and constraints after an optimiser step."""
        ...


@dataclass(frozen=True)
class Feedback:
    """Feedback of n windows in two forms.

    Attributes:
        observed: The observed events; the likelihood is computed on them.
        completed: The same events extended by simulation; the temporal rows are made from them.

    Raises:
        ValueError: The two forms have different numbers of windows.
    """

    observed: Events
    completed: Completed

    def __post_init__(self) -> None:
        """Check the values."""
        if len(self.observed) != len(self.completed.events):
            raise ValueError(
                f"observed and completed feedback must have the same windows, given {len(self.observed)} and "
                f"{len(self.completed.events)} sequences"
            )

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.observed)

    def take(self, rows: Tensor, *, device: torch.device | str = "cpu") -> Feedback:
        """Return the feedback of the windows at `rows` (b,) int64."""
        return Feedback(self.observed[rows], self.completed[rows]).to(device)

    def to(self, device: torch.device | str) -> Feedback:
        """Return the same feedback on another device."""
        parts = {field.name: getattr(self.completed, field.name).to(device) for field in fields(self.completed)}
        return Feedback(self.observed.to(device), replace(self.completed, **parts))


class FeedbackSource(Protocol):
    """Feedback of n windows that yields minibatches: `Feedback` itself, or a store of unpadded sequences."""

    def __len__(self) -> int:
        """Return the number of windows."""
        ...

    def take(self, rows: Tensor, *, device: torch.device | str = "cpu") -> Feedback:
        """Return the feedback of the windows at `rows` (b,) int64."""
        ...
