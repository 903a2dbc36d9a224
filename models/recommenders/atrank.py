"""ATRank: attention among a user's clicks, and of the candidate to them (Zhou et al., AAAI 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.predictors.attention import masked_softmax
from models.predictors.ranges import COUNT, check_ranges
from models.recommenders.click_batch import ClickBatch
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.item_encoder import ItemEncoder

AGES = 12  # ages of clicks: below a day, then doubling


@dataclass(frozen=True)
class ATRankConfig(ClickConfig):
    """Hyper-parameters of ATRank.

    Attributes:
        heads: Heads of the attention; they divide `hidden`.
    """

    heads: int = 8

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_ranges(self, heads=COUNT)
        if self.hidden % self.heads:
            raise ValueError(f"heads must divide hidden, given {self.heads} and {self.hidden}")


class AttentionBlock(nn.Module):
    """Multi-head attention of queries to a history, then a perceptron of d -> d / 4 -> d; both with residual and layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        """Build the layers for rows of `width` d."""
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.between = nn.Sequential(
            nn.Linear(width, max(1, width // 4)), nn.ReLU(), nn.Linear(max(1, width // 4), width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, queries: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """Return queries (b, n, d), enriched from keys (b, L, d) where mask (b, L) is True."""
        q, k, v = (
            layer(x).relu().unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, keys))
        )
        weights = masked_softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, mask[:, None, None], dim=-1)
        rows = self.norms[0](queries + (weights @ v).transpose(1, 2).flatten(2))
        return self.norms[1](rows + self.between(rows))


class ATRankNetwork(ClickNetwork):
    """score(u, e) = u_e . x_e + b_e, where u_e is the candidate's attention to the clicks after self-attention among them.

    A click is a layer over [item vector, category vector, one-hot age]; its age class doubles from one day on. The
    item's bias b_e is linear in its vector, so that new items have one.
    """

    config_class = ATRankConfig

    def __init__(self, config: ATRankConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        self.items = ItemEncoder(
            sizes.content, config.width, items=sizes.items if config.ids else 0, categories=sizes.categories
        )
        width = self.items.width
        self.click = nn.Linear(width + AGES, config.hidden)
        self.candidate = nn.Linear(width, config.hidden)
        self.among = AttentionBlock(config.hidden, config.heads)
        self.towards = AttentionBlock(config.hidden, config.heads)
        self.bias = nn.Linear(width, 1)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        x, history = self.dropout(self.items(batch)), batch.clicked
        ages = functional.one_hot(age_class(history.age), AGES).to(x.dtype)
        clicks = self.click(torch.cat([history.gather(x), ages], -1)) * history.mask.unsqueeze(-1)
        clicks = self.among(clicks, clicks, history.mask)
        candidates = self.candidate(x)
        users = self.towards(candidates[batch.candidate], clicks, history.mask)
        return (users * candidates[batch.candidate]).sum(-1) + self.bias(x).squeeze(-1)[batch.candidate]


def age_class(hours: Tensor) -> Tensor:
    """Return the class of an age: 0 below one day, k from 2^(k - 1) to 2^k days, at most AGES - 1."""
    return torch.floor(torch.log2(torch.clamp(hours / 24, min=0.5)) + 1).long().clamp(max=AGES - 1)


class ATRank(ClickRecommender):
    """The recommender around `ATRankNetwork`."""

    title = "ATRank"
    code = 1
    network_class = ATRankNetwork
