"""LSTM over a user's clicks, a baseline of MTIN's table 2."""

from __future__ import annotations

from torch import Tensor, nn

from models.recommenders.click_batch import ClickBatch
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes, masked_mean
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.item_encoder import ItemEncoder
from models.recommenders.pair_score import PairScore


class LSTMNetwork(ClickNetwork):
    """The user's vector is the mean of the LSTM's hidden states over the clicks; MLP([u, x_e]) is the score."""

    config_class = ClickConfig

    def __init__(self, config: ClickConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        self.items = ItemEncoder(
            sizes.content, config.width, items=sizes.items if config.ids else 0, categories=sizes.categories
        )
        self.recurrent = nn.LSTM(self.items.width, config.width, batch_first=True)
        self.score = PairScore(config.width, self.items.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        x = self.dropout(self.items(batch))
        states, _ = self.recurrent(batch.clicked.gather(x))
        return self.score(masked_mean(states, batch.clicked.mask), x, batch.candidate)


class LSTM(ClickRecommender):
    """The recommender around `LSTMNetwork`."""

    title = "LSTM"
    code = 1
    network_class = LSTMNetwork
