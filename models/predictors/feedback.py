"""What the predictor needs of the point process that learns inside it: `models.temporal` provides it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch
from torch import Tensor


class Events(Protocol):
    """b event sequences (`models.events.EventBatch`)."""

    lengths: Tensor  # (b,) int64, events of each sequence

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Tensor) -> Events: ...
    def to(self, device: torch.device | str) -> Events: ...


class Completed(Protocol):
    """Event sequences brought to the fixed length by thinning (`models.temporal.Completed`, a dataclass)."""

    events: Events

    def __getitem__(self, rows: Tensor) -> Completed: ...


class TemporalEncoder(Protocol):
    """The process as a module (`models.temporal.TemporalEncoder`, an nn.Module)."""

    width: int

    def __call__(self, completed: Completed) -> tuple[Tensor, Tensor]: ...  # rows (b, L, width), mask (b, L)
    def log_likelihood(self, events: Any) -> Tensor: ...  # (b,)
    def constrain_(
        self, optimiser: torch.optim.Optimizer, *, penalty: str | None, strength: float, max_branching: float | None
    ) -> None: ...


@dataclass(frozen=True)
class Feedback:
    """The feedback of n windows, twice: as observed, which the likelihood is of, and completed, which the rows are of.

    Raises ValueError where the two are not of the same number of windows.
    """

    observed: Events
    completed: Completed

    def __post_init__(self) -> None:
        if len(self.observed) != len(self.completed.events):
            raise ValueError(
                f"observed and completed feedback must be of the same videos, given {len(self.observed)} and "
                f"{len(self.completed.events)} sequences"
            )

    def __len__(self) -> int:
        return len(self.observed)

    def take(self, rows: Tensor, *, device: torch.device | str = "cpu") -> Feedback:
        """Return the feedback of the windows at `rows` (b,) int64."""
        return Feedback(self.observed[rows], self.completed[rows]).to(device)

    def to(self, device: torch.device | str) -> Feedback:
        """Return the same feedback on another device."""
        parts = {field.name: getattr(self.completed, field.name).to(device) for field in fields(self.completed)}
        return Feedback(self.observed.to(device), replace(self.completed, **parts))


class FeedbackSource(Protocol):
    """Feedback of n windows, from which minibatches are taken: `Feedback` itself, or a store of unpadded sequences."""

    def __len__(self) -> int: ...
    def take(self, rows: Tensor, *, device: torch.device | str = "cpu") -> Feedback: ...
