"""BPR: matrix factorisation with a ranking loss (Rendle et al., UAI 2009)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.recommenders.click_batch import ClickBatch
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.item_encoder import SMALL, ItemEncoder


class BPRNetwork(ClickNetwork):
    """score(u, j) = u . x_j, with a learned vector u per user; the loss is -log sigmoid(s_clicked - s_skipped).

    Pairs are formed of the clicked and the skipped exposures of one block, which are near each other in time. Items
    enter by their content, so that new items have a score (He and McAuley 2016); `ids` adds the learned vectors of the
    original.
    """

    config_class = ClickConfig

    def __init__(self, config: ClickConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        self.items = ItemEncoder(sizes.content, config.width, items=sizes.items if config.ids else 0)
        self.users = nn.Embedding(sizes.users, config.width, sparse=True)
        nn.init.normal_(self.users.weight, std=SMALL)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        scores = self.users(batch.user) @ self.items(batch).T
        return scores.gather(1, batch.candidate)

    def loss(self, batch: ClickBatch) -> Tensor:
        """Return the mean over all pairs of a click and a skip in the same block; 0 without a pair."""
        scores, clicked = self(batch), batch.label.bool()
        pairs = (clicked & batch.mask).unsqueeze(2) & (~clicked & batch.mask).unsqueeze(1)
        losses = functional.softplus(scores.unsqueeze(1) - scores.unsqueeze(2))  # (b, clicked, skipped)
        return (losses * pairs).sum() / torch.clamp(pairs.sum(), min=1)


class BPR(ClickRecommender):
    """The recommender around `BPRNetwork`."""

    title = "BPR"
    code = 1
    network_class = BPRNetwork
