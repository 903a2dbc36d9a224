"""ALPINE: an LSTM along time and along similar items, over clicks and skips (Li et al., ACM Multimedia 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.predictors.attention import masked_softmax
from models.recommenders.click_batch import ClickBatch, History
from models.recommenders.click_network import ClickConfig, ClickNetwork, DataSizes, masked_mean
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.item_encoder import ItemEncoder
from models.recommenders.pair_score import PairScore

SHARES = (0.58, 0.18, 0.24)  # of the scores of clicks, skips and the mean of the clicks


@dataclass(frozen=True)
class ALPINEConfig(ClickConfig):
    """Hyper-parameters of ALPINE; histories have 300 clicks and skips in the published code."""

    skips: int = 100


class GraphLSTM(nn.Module):
    """Two LSTM cells side by side: one follows time, the other the most similar earlier item.

        h_i = o_i tanh(c_i) + o'_i tanh(c'_i)

    (c, o) come from x_i and h_{i-1}; (c', o') from x_i and the state h of the earlier item whose content is nearest to
    that of item i. Both cells keep the cell state of the step before, as in the published code.
    """

    def __init__(self, inputs: int, width: int) -> None:
        """Build the cells for rows of `inputs` and states of `width`."""
        super().__init__()
        self.inputs = nn.Linear(inputs, 8 * width)
        self.previous, self.similar = (nn.Linear(width, 4 * width, bias=False) for _ in range(2))

    def forward(self, x: Tensor, edge: Tensor) -> Tensor:
        """Return the states (b, L, d) of rows x (b, L, i); edge (b, L) is the place of the most similar earlier row."""
        inputs = self.inputs(x)
        state = x.new_zeros(len(x), self.previous.in_features)
        cells = [state, state]
        states: list[Tensor] = []
        for step in range(x.shape[1]):
            near = _at(states, edge[:, step]) if states else state
            recurrent = torch.cat([self.previous(state), self.similar(near)], -1) + inputs[:, step]
            outputs = []
            for number, gates in enumerate(recurrent.chunk(2, -1)):
                take, keep, new, give = gates.chunk(4, -1)
                cells[number] = keep.sigmoid() * cells[number] + take.sigmoid() * new.tanh()
                outputs.append(give.sigmoid() * cells[number].tanh())
            state = outputs[0] + outputs[1]
            states.append(state)
        return torch.stack(states, 1)


def _at(states: list[Tensor], place: Tensor) -> Tensor:
    """Return, per row, the state at a place."""
    return torch.stack(states)[place, torch.arange(len(place), device=place.device)]


def most_similar_earlier(content: Tensor, mask: Tensor) -> Tensor:
    """Return the place of the earlier row at the smallest Euclidean distance, (b, L); 0 for the first row.

    Args:
        content: (b, L, f).
        mask: (b, L) bool; padding is at the end.
    """
    distance = torch.cdist(content, content)
    length = content.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool, device=content.device).tril(-1) & mask.unsqueeze(1)
    return distance.masked_fill(~earlier, torch.inf).argmin(-1)


class ALPINENetwork(ClickNetwork):
    """score = .58 P(x_e | clicks) + .18 P(x_e | skips) + .24 P(x_e | mean of the clicks).

    Each P is a two-layer perceptron. The candidate attends to the states of the graph LSTM by scaled dot products. The
    third user vector is the mean of the liked and followed items in the paper; here clicks stand for them.
    """

    config_class = ALPINEConfig

    def __init__(self, config: ALPINEConfig, sizes: DataSizes) -> None:
        """Build the network."""
        super().__init__(config, sizes)
        self.items = ItemEncoder(
            sizes.content, config.width, items=sizes.items if config.ids else 0, categories=sizes.categories
        )
        width = self.items.width
        self.graphs = nn.ModuleDict({name: GraphLSTM(width, config.width) for name in ("clicked", "skipped")})
        self.query = nn.Linear(width, config.width)
        self.scores = nn.ModuleDict({name: PairScore(config.width, width, config.hidden) for name in self.graphs})
        self.mean_score = PairScore(width, width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, batch: ClickBatch) -> Tensor:
        """Return the scores of the candidates, (b, c)."""
        x = self.dropout(self.items(batch))
        query = self.query(x)[batch.candidate]  # (b, c, d)
        parts = [self._attended(name, getattr(batch, name), x, query, batch) for name in self.graphs]
        clicks = masked_mean(batch.clicked.gather(x), batch.clicked.mask)
        parts.append(self.mean_score(clicks, x, batch.candidate))
        return torch.stack(parts, -1) @ x.new_tensor(SHARES)

    def _attended(self, name: str, history: History, x: Tensor, query: Tensor, batch: ClickBatch) -> Tensor:
        """Return P(x_e | history), (b, c)."""
        content = batch.content if self.sizes.content else self.items(batch).detach()
        edge = most_similar_earlier(history.gather(torch.nan_to_num(content)), history.mask)
        states = self.graphs[name](history.gather(x), edge)
        scores = query @ states.transpose(1, 2) / query.shape[-1] ** 0.5
        users = masked_softmax(scores, history.mask.unsqueeze(1), dim=-1) @ states
        return self.scores[name](users, x, batch.candidate)


class ALPINE(ClickRecommender):
    """The recommender around `ALPINENetwork`."""

    title = "ALPINE"
    code = 1
    network_class = ALPINENetwork
