"""Multi-view: a transformer over the author's last posts beside their moving average (Tan et al., ACM Multimedia 2022).

"An Efficient Multi-View Multimodal Data Processing Framework for Social Media Popularity Prediction". The paper reads
vectors of ALBEF with a Performer and hands everything to CatBoost. Here frozen vectors of the pipeline's own encoders go
through a causal transformer and a perceptron.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.predictors.earlier_posts import EarlierPosts
from models.predictors.post_network import MODALITIES, PostConfig, PostForm, PostNetwork, PostPredictor
from models.predictors.table import Table


@dataclass(frozen=True)
class MultiViewConfig(PostConfig):
    """Hyper-parameters of Multi-view, beside those of `PostConfig`.

    Attributes:
        width: d, the width of a post's vector.
        hidden: Units of the output perceptron's hidden layer.
        length: Number of the author's posts in a sequence, the forecast one included.
        average: Number of the author's posts in the moving average, the forecast one included.
        layers: Blocks of the transformer.
        heads: Number of attention heads; it divides `width`.
    """

    width: int = 64
    hidden: int = 64
    length: int = 8
    average: int = 3
    layers: int = 2
    heads: int = 4


class MultiView(PostNetwork):
    """Network over the last posts of an author; `MultiViewPredictor` builds and fits one.

    A post is x = [frames, words] W + b. The transformer reads x plus a learned vector of the post's place, counted backwards
    from the own post, and its output at the own post is z. The forecast is a perceptron of [z, x of the own post, mean of the
    last x, author and time of publication].
    """

    config_class = MultiViewConfig

    def __init__(self, config: MultiViewConfig, form: PostForm) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            form: What the training items look like.
        """
        super().__init__(config, form, author_width=config.width, calendar=True)
        d = config.width
        self.embed = nn.Linear(sum(form.widths[name] for name in MODALITIES), d)
        self.place = nn.Parameter(torch.randn(config.length, d) * d**-0.5)
        block = nn.TransformerEncoderLayer(
            d, config.heads, 4 * d, config.dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.transform = nn.TransformerEncoder(block, config.layers, nn.LayerNorm(d), enable_nested_tensor=False)
        self.head = nn.Sequential(
            nn.Linear(3 * d + self.author.width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, form.targets),
        )

    def forward(self, posts: EarlierPosts, table: Table | None) -> Tensor:
        """Return standardised predictions (b, T).

        Args:
            posts: The posts of b windows.
            table: Table of the same windows; None if no statistic is read.
        """
        rows = posts.of_the_author(self.config.length)  # (b, l), the own post is the last one
        x, present = self._embedded(posts, rows), self.present(rows)
        last = present.sum(1) - 1
        places = torch.arange(rows.shape[1], device=x.device)
        back = (last.unsqueeze(1) - places).clamp(min=0)  # 0 is the own post
        later = torch.ones(len(places), len(places), dtype=torch.bool, device=x.device).triu(1)
        z = self.transform(x + self.place[back], mask=later, src_key_padding_mask=~present)
        averaged = posts.of_the_author(self.config.average)
        weights = self.present(averaged).to(x)
        mean = (weights.unsqueeze(1) @ self._embedded(posts, averaged)).squeeze(1) / weights.sum(1, keepdim=True)
        every = torch.arange(len(rows), device=x.device)
        return self.head(torch.cat([z[every, last], x[every, last], mean, self.author(posts, table)], -1))

    def _embedded(self, posts: EarlierPosts, rows: np.ndarray) -> Tensor:
        """Return x of the posts at `rows` (b, l), (b, l, d)."""
        return self.embed(torch.cat([self.content(posts.posts, rows, name) for name in MODALITIES], -1))


class MultiViewPredictor(PostPredictor):
    """Multi-view with frozen vectors of the pipeline's own encoders: the mean frame and the mean word of each post."""

    title = "Multi-view"
    code = 1
    network_class = MultiView
    config_class = MultiViewConfig
    needs_authors = True
