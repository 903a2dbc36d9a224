"""Convolutions over a user's clicks, a baseline of MTIN's table 2 in the form of ATRank's comparison."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.predictors.ranges import COUNT, check_ranges
from models.recommenders.click_batch import ClickBatch
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.item_encoder import ItemEncoder
from models.recommenders.pair_score import PairScore


@dataclass(frozen=True)
class CNNConfig(ClickConfig):
    """Hyper-parameters of the convolutions.

    Attributes:
        widest: The filters span 1, 2, ..., `widest` successive clicks.
        filters: Filters per span.
    """

    widest: int = 10
    filters: int = 32

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_ranges(self, widest=COUNT, filters=COUNT)


class CNNNetwork(ClickNetwork):
    """The user's vector holds the largest response of each filter over all clicks; MLP([u, x_e]) is the score.

    A filter is placed at every click and reads the clicks before it; places before the first click are zeros.
    """

    config_class = CNNConfig

    def __init__(self, config: CNNConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        self.items = ItemEncoder(
            sizes.content, config.width, items=sizes.items if config.ids else 0, categories=sizes.categories
        )
        self.filters = nn.ModuleList(
            nn.Conv1d(self.items.width, config.filters, span) for span in range(1, config.widest + 1)
        )
        self.score = PairScore(config.filters * config.widest, self.items.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        x = self.dropout(self.items(batch))
        clicks, mask = batch.clicked.gather(x).transpose(1, 2), batch.clicked.mask.unsqueeze(1)
        responses = [layer(functional.pad(clicks, (layer.kernel_size[0] - 1, 0))).relu() for layer in self.filters]
        user = torch.cat([(response * mask).amax(-1) for response in responses], -1)
        return self.score(user, x, batch.candidate)


class CNN(ClickRecommender):
    """The recommender around `CNNNetwork`."""

    title = "CNN"
    code = 1
    network_class = CNNNetwork
