"""Options of the training of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from models.predictors.ranges import COUNT, NOT_NEGATIVE, POSITIVE, RATE, check_ranges

Precision = Literal["auto", "float32", "bfloat16"]
WHOLE_PASS = 1 << 62  # value of `epoch_videos` that divides no pass


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training.

    Batch size and weight decay are M3TR's (section 4.2.3), and so is dropout 0 in `M3TRConfig`.

    Attributes:
        learning_rate: Learning rate of AdamW.
        process_learning_rate: Learning rate of the process inside. It is lower, because the process starts fitted.
        batch_size: Windows per step.
        weight_decay: Decoupled weight decay of the network. The process has none.
        gamma: Weight of the process's loss. With 0 the process stays as it was fitted.
        epoch_videos: Videos per epoch. A larger set is shown over several epochs of equal size, so that a network is validated,
            and may stop, more often than once per pass over it.
        epochs: Largest number of epochs.
        patience: Epochs without a better validation nMSE before training stops.
        clip: Largest norm of the gradient.
        averaging: Decay of the moving average of the weights, which is what is validated and kept; 0 for none.
        penalty: Penalty on the process's influences: "mcp", "scad" or None. Use the penalty of its own fit.
        penalty_strength: Strength of that penalty.
        max_branching: Largest branching ratio that the process may reach; None for no limit.
        precision: Precision of the network's matrix products in training, on a GPU; weights, standardisers, the process inside
            and forecasts are float32 in any case. "auto" is bfloat16 on a GPU that has it. On a CPU all are float32.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    learning_rate: float = 1e-3
    process_learning_rate: float = 1e-4
    batch_size: int = 64
    weight_decay: float = 1e-3
    gamma: float = 0.1
    epoch_videos: int = 4096
    epochs: int = 100
    patience: int = 15
    clip: float = 1.0
    averaging: float = 0.95
    penalty: str | None = None
    penalty_strength: float = 0.05
    max_branching: float | None = 0.95
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, learning_rate=POSITIVE, process_learning_rate=POSITIVE, clip=POSITIVE)
        check_ranges(self, weight_decay=NOT_NEGATIVE, gamma=NOT_NEGATIVE, averaging=RATE)
        check_ranges(self, batch_size=COUNT, epoch_videos=COUNT, epochs=COUNT, patience=COUNT)
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, given {self.precision!r}")
