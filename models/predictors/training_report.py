"""Record of a training: what the loop measured after each pass."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """Results of one pass over the training items.

    Attributes:
        epoch: Number of the pass, from 1.
        loss: Mean of L over the pass.
        prediction_loss: Mean of L_pred.
        further_loss: Mean of L_further (M3TR: L_mhp); None without it.
        dev_nmse: Validation nMSE after the pass; None without validation items.
        seconds: Seconds that the pass took, with validation.
        items_per_second: Training videos per second.
        seconds_left: Estimated seconds until the last epoch, without early stopping.
    """

    epoch: int
    loss: float
    prediction_loss: float
    further_loss: float | None
    dev_nmse: float | None
    seconds: float
    items_per_second: float
    seconds_left: float


@dataclass
class TrainingReport:
    """Record of one training.

    Attributes:
        seed: The seed.
        epochs: Every epoch, in order.
        best_epoch: The epoch whose weights were kept, from 1.
        best_dev_nmse: Its validation nMSE; None without validation items.
        stopped_early: Whether training stopped before the last epoch.
        seconds: Seconds of the whole training.
        parameters: Numbers that the fit determined: weights of a network, values of a tree's leaves; None if not counted.
        peak_memory_mb: Largest resident memory of the process during the training, data included, in MiB; on a GPU the largest
            memory allocated there. None if not measured.
    """

    seed: int
    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_dev_nmse: float | None = None
    stopped_early: bool = False
    seconds: float = 0.0
    parameters: int | None = None
    peak_memory_mb: float | None = None
