"""The report of a fit."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """The scores after one pass over the training set, or after one iteration of a classical fit.

    Attributes:
        index: Number of the entry, from 0.
        train: Log-likelihood per event of the training set, in nats.
        dev: Log-likelihood per event of the dev set, in nats.
        seconds: Time since the fit began.
    """

    index: int
    train: float
    dev: float
    seconds: float


@dataclass
class FitReport:
    """The learning curve and the results of a fit.

    Attributes:
        curve: One entry per pass over the training set, or per iteration of a classical fit. A neural fit begins with the
            scores of its start.
        best_epoch: Number of the entry that was kept: the best on dev in a neural fit, the last one in a classical fit. Its
            scores are those of the fitted process.
        seconds: Duration of the fit.
        branching_ratio: Branching ratio of the fitted process.
        strength: The penalty's strength; None without a penalty or in a neural fit.
        events_ratio: Expected events per event of the training set. 1 is right; `fit` warns outside 0.99 to 1.01.
    """

    curve: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    branching_ratio: float = 0.0
    strength: float | None = None
    events_ratio: float = 1.0

    @property
    def best(self) -> Epoch:
        """The entry of the curve that was kept; see `best_epoch`."""
        return self.curve[self.best_epoch]
