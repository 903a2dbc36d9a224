"""What a fit reports."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set (one iteration of L-BFGS-B): log-likelihood an event on both sets, nats."""

    index: int
    train: float
    dev: float
    seconds: float


@dataclass
class FitReport:
    """The curve of a fit, where it was best on dev, how long it took and the branching ratio of the result.

    `strength` is the penalty's, where there is one.
    """

    curve: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    branching_ratio: float = 0.0
    strength: float | None = None

    @property
    def best(self) -> Epoch:
        return self.curve[self.best_epoch]
