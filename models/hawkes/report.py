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
    """What a fit did and what came out of it.

    Attributes:
        curve: one entry per pass over the training set. A neural fit begins with the scores of its start.
        best_epoch: the entry that was best on dev. Its scores are those of the process as the fit left it.
        seconds: how long the fit took.
        branching_ratio: of the result.
        strength: the penalty's, where there is one.
        events_ratio: expected events per event on the training set. A process that fits has 1; `fit` warns outside .99 to
            1.01.
    """

    curve: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    branching_ratio: float = 0.0
    strength: float | None = None
    events_ratio: float = 1.0

    @property
    def best(self) -> Epoch:
        """The entry of the curve that was best on dev."""
        return self.curve[self.best_epoch]
