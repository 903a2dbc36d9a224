"""DTCN: an author's earlier posts, recent ones and those of the same time of day (Wu et al., IJCAI 2017).

"Sequential Prediction of Social Media Popularity with Deep Temporal Context Networks".
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.earlier_posts import EarlierPosts
from models.predictors.features import on_device
from models.predictors.post_network import PostConfig, PostForm, PostNetwork, PostPredictor
from models.predictors.table import Table

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class DTCNConfig(PostConfig):
    """Hyper-parameters of DTCN, beside those of `PostConfig`.

    Attributes:
        hidden: Units of each LSTM.
        embedding: Units of the first layer of a joint embedding, and width of the author's id; the second layer has half.
        length: Number of posts in each context, the forecast one included.
        within_days: Age of the oldest post in the neighbouring context, in days. The paper prints 18 without a unit.
        block_hours: Hours of a part of the day. The periodic context holds posts of the same part; the paper prints no length.
        decay_seconds: Gap in seconds after which a post's attention score has fallen to 1/e.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    hidden: int = 64
    embedding: int = 32
    length: int = 10
    within_days: float = 18.0
    block_hours: int = 4
    decay_seconds: float = 1e5

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.embedding < 2:
            raise ValueError(f"embedding must be at least 2, given {self.embedding}")
        for name in ("within_days", "decay_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, given {getattr(self, name)}")


class DTCN(PostNetwork):
    """Network over two sequences that end at the own post; `DTCNPredictor` builds and fits one.

    A post is the joint embedding [tanh(tanh(v W_1) W_2), tanh(tanh(u U_1) U_2)] of its frames v and its author u. One LSTM
    per context reads the posts, and the states are averaged with the weights softmax(exp(-gap / tau)), where gap is the time
    to the own post. Both averages side by side go through a linear layer.
    """

    config_class = DTCNConfig

    def __init__(self, config: DTCNConfig, form: PostForm) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            form: What the training items look like.
        """
        super().__init__(config, form, author_width=config.embedding, calendar=False)
        inputs = {"visual": form.widths["visual"], "author": self.author.width}
        self.embed = nn.ModuleDict({name: self._joint_embedding(width) for name, width in inputs.items()})
        joint = 2 * (config.embedding // 2)
        contexts = ("neighbouring", "periodic")
        self.recur = nn.ModuleDict({name: nn.LSTM(joint, config.hidden, batch_first=True) for name in contexts})
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(2 * config.hidden, form.targets))

    def _joint_embedding(self, inputs: int) -> nn.Sequential:
        units, dropout = self.config.embedding, nn.Dropout(self.config.dropout)
        return nn.Sequential(nn.Linear(inputs, units), nn.Tanh(), dropout, nn.Linear(units, units // 2), nn.Tanh())

    def forward(self, posts: EarlierPosts, table: Table | None) -> Tensor:
        """Return standardised predictions (b, T).

        Args:
            posts: The posts of b windows.
            table: Table of the same windows; None if no statistic is read.
        """
        use = self.config
        author = self.embed["author"](self.author(posts, table)).unsqueeze(1)  # (b, 1, e), for every post of a sequence
        rows = {
            "neighbouring": posts.of_the_author(use.length, within_hours=24 * use.within_days),
            "periodic": posts.of_the_author(use.length, block_hours=use.block_hours),
        }
        contexts = []
        for name, recur in self.recur.items():
            seen = self.embed["visual"](self.content(posts.posts, rows[name], "visual"))  # (b, l, e)
            states = recur(torch.cat([seen, author.expand(-1, seen.shape[1], -1)], -1))[0]
            contexts.append((self._weights(posts, rows[name]).unsqueeze(1) @ states).squeeze(1))
        return self.head(torch.cat(contexts, -1))

    def _weights(self, posts: EarlierPosts, rows: np.ndarray) -> Tensor:
        """Return the weight of each post in its sequence, (b, l), by its time."""
        own = posts.own[:, None]
        time = posts.posts.time[np.where(rows >= 0, rows, own)]
        # A post of unknown time is alone, at no distance from itself.
        gaps = np.nan_to_num(posts.posts.time[own] - time) * SECONDS_PER_HOUR
        like = self.standardise_target.mean
        scores = on_device(np.exp(-gaps / self.config.decay_seconds), like.device).to(like.dtype)
        return scores.masked_fill(~self.present(rows), -torch.inf).softmax(-1)


class DTCNPredictor(PostPredictor):
    """DTCN with frozen vectors of the pipeline's own visual encoder."""

    title = "DTCN"
    code = 1
    network_class = DTCN
    config_class = DTCNConfig
    needs_authors = True
    # As in the authors' published code; the optimiser there is RMSprop.
    paper = MappingProxyType(
        {"hidden": 128, "embedding": 32, "length": 10, "dropout": 0.5, "learning_rate": 1e-4, "patience": 100}
    )

    def content_obstacle(self, present: Set[str], *, depth: int) -> str | None:
        """Return that frames are lacking, if so."""
        return None if "visual" in present else "needs frames; no training item has one"
