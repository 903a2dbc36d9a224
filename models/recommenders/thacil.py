"""THACIL: temporal attention at category and item level (Chen et al., ACM Multimedia 2018)."""

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
from models.recommenders.pair_score import PairScore

BOUND = 5.0  # scores between blocks lie in (-BOUND, BOUND)


@dataclass(frozen=True)
class THACILConfig(ClickConfig):
    """Hyper-parameters of THACIL.

    Attributes:
        block: Clicks per block.
        heads: Heads of the attention between blocks; they divide 2 `width`.
    """

    clicks: int = 160
    dropout: float = 0.2
    block: int = 20
    heads: int = 8

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_ranges(self, block=COUNT, heads=COUNT)
        if 2 * self.width % self.heads:
            raise ValueError(f"heads must divide twice the width, given {self.heads} and {self.width}")


class ChannelAttention(nn.Module):
    """Mean of rows with weights of their own per channel: softmax of W_2 ReLU(W x + U q) over the rows."""

    def __init__(self, width: int, query_width: int) -> None:
        """Build the layers for rows x of `width` and queries q of `query_width`."""
        super().__init__()
        self.row, self.query = nn.Linear(width, width), nn.Linear(query_width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, rows: Tensor, query: Tensor, mask: Tensor) -> Tensor:
        """Return means (..., d) of rows (..., n, d), given queries (..., n or 1, q) and mask (..., n)."""
        scores = self.output((self.row(rows) + self.query(query)).relu())
        return (masked_softmax(scores, mask.unsqueeze(-1), dim=-2) * rows).sum(-2)


class LaterBlocks(nn.Module):
    """Attention of each block to the later ones, several heads, with weights of their own per channel.

    The weights of block i are the softmax over j > i of 5 tanh((W h_i + U h_j + b) / 5).
    """

    def __init__(self, width: int, heads: int) -> None:
        """Build the layers for blocks of `width`."""
        super().__init__()
        self.heads = heads
        self.split = nn.Linear(width, width, bias=False)
        shape = (heads, width // heads, width // heads)
        self.own, self.other = (nn.Parameter(torch.randn(shape) * shape[-1] ** -0.5) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(heads, 1, 1, shape[-1]))

    def forward(self, blocks: Tensor, mask: Tensor) -> Tensor:
        """Return (b, n, d), zero for a block without a later one; blocks are (b, n, d), mask (b, n)."""
        n = blocks.shape[1]
        heads = self.split(blocks).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (b, h, n, d / h)
        scores = (heads @ self.own).unsqueeze(3) + (heads @ self.other).unsqueeze(2) + self.bias  # (b, h, i, j, d / h)
        later = torch.ones(n, n, dtype=torch.bool, device=mask.device).triu(1) & mask.unsqueeze(1)
        weights = masked_softmax(BOUND * (scores / BOUND).tanh(), later[:, None, :, :, None], dim=3)
        return (weights * heads.unsqueeze(2)).sum(3).transpose(1, 2).flatten(2)


class THACILNetwork(ClickNetwork):
    """Attention within blocks of clicks, for items and for categories, between blocks, and of the candidate to the blocks.

    Within a block, the weights of the item vectors are asked by the category vectors and those of the category vectors by the
    item vectors. Without categories all items share one category vector.
    """

    config_class = THACILConfig

    def __init__(self, config: THACILConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        d = config.width
        self.items = ItemEncoder(
            sizes.content, d, items=sizes.items if config.ids else 0, categories=max(1, sizes.categories)
        )
        self.item_level, self.category_level = ChannelAttention(d, d), ChannelAttention(d, d)
        self.later = LaterBlocks(2 * d, config.heads)
        self.norm = nn.LayerNorm(2 * d)
        self.towards = ChannelAttention(2 * d, 2 * d)
        self.score = PairScore(2 * d, 2 * d, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        d, size, history = self.config.width, self.config.block, batch.clicked
        x = self.dropout(self.items(batch))
        missing = -history.mask.shape[1] % size
        rows = functional.pad(history.gather(x), (0, 0, 0, missing)).unflatten(1, (-1, size))  # (b, n, size, 2d)
        mask = functional.pad(history.mask, (0, missing)).unflatten(1, (-1, size))
        items, categories = rows.split(d, -1)
        within = torch.cat([self.item_level(items, categories, mask), self.category_level(categories, items, mask)], -1)
        known = mask.any(-1)
        blocks = self.norm(within + self.later(within, known))
        asked = x[batch.candidate].unsqueeze(2)  # (b, c, 1, 2d)
        users = self.towards(blocks.unsqueeze(1), asked, known.unsqueeze(1))
        return self.score(users, x, batch.candidate)


class THACIL(ClickRecommender):
    """The recommender around `THACILNetwork`."""

    title = "THACIL"
    code = 1
    network_class = THACILNetwork
