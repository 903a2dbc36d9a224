"""NCF: neural matrix factorisation (He et al., WWW 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.recommenders.click_batch import ClickBatch
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.item_encoder import SMALL, ItemEncoder


@dataclass(frozen=True)
class NCFConfig(ClickConfig):
    """Hyper-parameters of NCF; the perceptron has layers of `hidden` and of `hidden` / 2 units."""

    dropout: float = 0.1


class NCFNetwork(ClickNetwork):
    """score(u, j) = w . [p_u * q_j, MLP([p'_u, q'_j])], the NeuMF form.

    Users have learned vectors p and p', items have q = Linear(content) and q' likewise, with an id vector each if `ids` is on.
    Histories are not read.
    """

    config_class = NCFConfig

    def __init__(self, config: NCFConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        d, ids = config.width, sizes.items if config.ids else 0
        self.items, self.deep_items = (ItemEncoder(sizes.content, d, items=ids) for _ in range(2))
        self.users, self.deep_users = (nn.Embedding(sizes.users, d, sparse=True) for _ in range(2))
        for table in (self.users, self.deep_users):
            nn.init.normal_(table.weight, std=SMALL)
        self.first_user, self.first_item = nn.Linear(d, config.hidden), nn.Linear(d, config.hidden, bias=False)
        self.second = nn.Linear(config.hidden, config.hidden // 2)
        self.output = nn.Linear(d + config.hidden // 2, 1)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        products = self.users(batch.user).unsqueeze(1) * self.items(batch)[batch.candidate]  # (b, c, d)
        users = self.first_user(self.dropout(self.deep_users(batch.user))).unsqueeze(1)
        items = self.first_item(self.dropout(self.deep_items(batch)))[batch.candidate]
        deep = self.second(self.dropout((users + items).relu())).relu()
        return self.output(torch.cat([products, deep], -1)).squeeze(-1)


class NCF(ClickRecommender):
    """The recommender around `NCFNetwork`."""

    title = "NCF"
    code = 1
    network_class = NCFNetwork
