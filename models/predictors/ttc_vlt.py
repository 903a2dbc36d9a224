"""TTC-VLT: two streams of a post, which a contrastive loss keeps together (Chen et al., ACM Multimedia 2022).

"Title-and-Tag Contrastive Vision-and-Language Transformer for Social Media Popularity Prediction". The paper fine-tunes two
ViLT transformers, on title and image and on tags and image. Here the streams are perceptrons over frozen vectors of the
pipeline's own encoders, one of the words and one of the frames, with the same loss.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.predictors.earlier_posts import EarlierPosts
from models.predictors.features import on_device
from models.predictors.post_network import MODALITIES, PostConfig, PostForm, PostNetwork, PostPredictor
from models.predictors.samples import Minibatch
from models.predictors.table import Table
from models.predictors.training_options import TrainingOptions


@dataclass(frozen=True)
class TTCVLTConfig(PostConfig):
    """Hyper-parameters of TTC-VLT, beside those of `PostConfig`.

    Attributes:
        width: d, the width of a stream's vector.
        hidden: Units of every hidden layer.
        temperature: Temperature of the contrastive loss; the weight of that loss is `gamma`.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    hidden: int = 64
    temperature: float = 0.07

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, given {self.temperature}")


class TTCVLT(PostNetwork):
    """Network over the frames, the words and the author of one post; `TTCVLTPredictor` builds and fits one.

    With s_m = ReLU(x_m W_1 + b_1) W_2 + b_2 for frames and words, the forecast is a perceptron of [s_visual, s_text, author].
    The contrastive loss is InfoNCE in both directions over the minibatch's posts that have both: the cross-entropy of
    softmax(cos(s_visual, s_text') / temperature), where the right partner is the post's own.
    """

    config_class = TTCVLTConfig

    def __init__(self, config: TTCVLTConfig, form: PostForm) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters.
            form: What the training items look like.
        """
        super().__init__(config, form, author_width=config.width, calendar=False)
        d = config.width
        self.stream = nn.ModuleDict({name: self._perceptron(form.widths[name], d) for name in MODALITIES})
        self.head = self._perceptron(2 * d + self.author.width, form.targets)

    def _perceptron(self, inputs: int, outputs: int) -> nn.Sequential:
        hidden, dropout = self.config.hidden, nn.Dropout(self.config.dropout)
        return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), dropout, nn.Linear(hidden, outputs))

    def streams(self, posts: EarlierPosts) -> dict[str, Tensor]:
        """Return the vectors (b, d) of both streams."""
        return {name: stream(self.content(posts.posts, posts.own, name)) for name, stream in self.stream.items()}

    def forward(self, posts: EarlierPosts, table: Table | None) -> Tensor:
        """Return standardised predictions (b, T).

        Args:
            posts: The posts of b windows.
            table: Table of the same windows; None if no statistic is read.
        """
        return self.head(torch.cat([*self.streams(posts).values(), self.author(posts, table)], -1))

    def further_weight(self, options: TrainingOptions) -> float:
        """Return gamma."""
        return options.gamma

    def further_loss(self, batch: Minibatch) -> Tensor:
        """Return the contrastive loss of a minibatch; 0 if fewer than two posts have both frames and words."""
        vectors = [functional.normalize(stream, dim=-1) for stream in self.streams(batch.posts).values()]
        content, own = batch.posts.posts.content, batch.posts.own
        has_both = ~np.any([np.isnan(content[name][own, 0]) for name in MODALITIES], axis=0)
        both = on_device(np.flatnonzero(has_both), vectors[0].device)
        visual, text = (batch.part.gather(stream[both]) for stream in vectors)
        scores = visual @ text.T / self.config.temperature
        if len(scores) < 2:
            return scores.sum() * 0.0
        partner = torch.arange(len(scores), device=scores.device)
        loss = 0.5 * (functional.cross_entropy(scores, partner) + functional.cross_entropy(scores.T, partner))
        return loss / batch.part.parts


class TTCVLTPredictor(PostPredictor):
    """TTC-VLT with frozen vectors of the pipeline's own encoders: the mean frame and the mean word of a post."""

    title = "TTC-VLT"
    code = 1
    network_class = TTCVLT
    config_class = TTCVLTConfig
    paper = MappingProxyType({"gamma": 0.1})

    def content_obstacle(self, present: Set[str], *, depth: int) -> str | None:
        """Return that frames or words are lacking, if so; the streams need both."""
        return None if len(present) == 2 else "needs frames and words; no training item has both kinds"
