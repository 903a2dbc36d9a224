"""What every click model has: its items, its scores and its loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.predictors.ranges import COUNT, NOT_NEGATIVE, RATE, check_ranges
from models.recommenders.click_batch import ClickBatch


class DataSizes(NamedTuple):
    """Sizes of the data that a network is built for.

    Attributes:
        users: Number of users.
        items: Number of items.
        content: Width of the content of all modalities together.
        categories: Number of categories, the unknown one included; 0 if the set has none.
    """

    users: int
    items: int
    content: int
    categories: int


@dataclass(frozen=True)
class ClickConfig:
    """Hyper-parameters that every click model has.

    Attributes:
        width: d, the width of the item vectors.
        hidden: Units of the hidden layer of the output.
        clicks: Largest number of clicks per history.
        skips: Largest number of skips per history, for models that read them.
        ids: Whether each item has a learned vector beside its content. New items can be scored only without.
        dropout: Dropout rate.

    Raises:
        ValueError: A value is outside its range.
    """

    width: int = 64
    hidden: int = 128
    clicks: int = 100
    skips: int = 0
    ids: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, width=COUNT, hidden=COUNT, clicks=COUNT, skips=NOT_NEGATIVE, dropout=RATE)


class ClickNetwork(nn.Module):
    """A network that scores candidates; larger scores for items that the user is more likely to click.

    Attributes:
        config: The hyper-parameters.
        sizes: Sizes of the data.
        reads_training_histories: Whether `start` reads the histories of the users.
    """

    config_class: type = ClickConfig
    reads_training_histories = False

    def __init__(self, config: Any, sizes: DataSizes) -> None:
        """Keep the description; a subclass builds its layers."""
        super().__init__()
        self.config, self.sizes = config, sizes

    def description(self) -> dict[str, Any]:
        """Return what `from_description` needs to build the same network."""
        return {"config": asdict(self.config), "sizes": self.sizes._asdict()}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Self:
        """Build the network that `description` returned, with initial weights."""
        return cls(cls.config_class(**description["config"]), DataSizes(**description["sizes"]))

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        raise NotImplementedError

    def loss(self, batch: ClickBatch) -> Tensor:
        """Return the loss: the mean cross-entropy of sigmoid(score) and the label."""
        scores = self(batch)
        losses = functional.binary_cross_entropy_with_logits(scores, batch.label.to(scores.dtype), reduction="none")
        return (losses * batch.mask).sum() / batch.mask.sum()

    def start(self, users: Iterable[ClickBatch], seed: int) -> None:
        """Set initial weights that depend on data; by default none do.

        Args:
            users: Batches of users with all that is known at the end of their training, without candidates.
            seed: Seed of everything random.
        """

    def summary(self, users: Iterable[ClickBatch]) -> dict[str, float]:
        """Return further numbers for the record of the fit; by default none.

        Args:
            users: Batches of users with all that is known at the end of their training, without candidates.
        """
        return {}

    def decayed_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that weight decay shrinks: the matrices that are not tables of embeddings."""
        tables = {id(module.weight) for module in self.modules() if isinstance(module, nn.Embedding)}
        return [weight for weight in self.parameters() if weight.dim() > 1 and id(weight) not in tables]

    def sparse_parameters(self) -> list[nn.Parameter]:
        """Return the tables of embeddings whose gradients are sparse."""
        tables = [module for module in self.modules() if isinstance(module, nn.Embedding) and module.sparse]
        return [table.weight for table in tables if table.weight.requires_grad]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of values (b, L, d) over the rows of mask (b, L), zero where there is none."""
    return (values * mask.unsqueeze(-1)).sum(1) / torch.clamp(mask.sum(1, keepdim=True), min=1)
