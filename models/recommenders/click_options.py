"""Options of the training of a click model."""

from __future__ import annotations

from dataclasses import dataclass

from models.predictors.ranges import COUNT, NOT_NEGATIVE, POSITIVE, check_ranges


@dataclass(frozen=True)
class ClickTraining:
    """Options of the training.

    Attributes:
        learning_rate: Learning rate of Adam.
        block: Largest number of successive exposures of a user that share one history, the one before the first of
            them. With 1 each exposure has the history just before it, at `block` times the cost.
        batch_size: Blocks per step.
        weight_decay: lambda of the loss's term lambda |W|^2 over the matrices, the tables of embeddings excepted.
        epochs: Largest number of passes.
        patience: Passes without a better validation AUC before the training stops.
        clip: Largest norm of the gradient of all parameters but the tables.
        negatives: Items drawn at random per click, which count as skipped. None: 1 if the training exposures hold no
            skip, else 0.

    Raises:
        ValueError: A value is outside its range.
    """

    learning_rate: float = 1e-3
    block: int = 16
    batch_size: int = 32
    weight_decay: float = 1e-4
    epochs: int = 30
    patience: int = 3
    clip: float = 5.0
    negatives: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, learning_rate=POSITIVE, clip=POSITIVE, weight_decay=NOT_NEGATIVE, negatives=NOT_NEGATIVE)
        check_ranges(self, block=COUNT, batch_size=COUNT, epochs=COUNT, patience=COUNT)
