"""DSN: a post among the posts that were published before it (Zhang et al. 2023, arXiv 2307.15413).

Equations are those of "Improving Social Media Popularity Prediction with Multiple Post Dependencies".
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from models.predictors.category_embedding import CategoryEmbedding, CategoryForm
from models.predictors.earlier_posts import EarlierPosts
from models.predictors.gated_layers import Gate, GatedResidual
from models.predictors.post_network import PostConfig, PostForm, PostNetwork, PostPredictor
from models.predictors.ranges import SHARE, check_ranges
from models.predictors.table import Table


@dataclass(frozen=True)
class DSNConfig(PostConfig):
    """Hyper-parameters of DSN, beside those of `PostConfig`. The switches are those of the paper's tables 3 to 7.

    Attributes:
        width: d, the width of every layer of the post part.
        hidden: Units of the output perceptron's hidden layer.
        length: l, the number of posts in a sequence, the forecast one included.
        heads: Number of attention heads; it divides `width`.
        alpha: Weight of the unadapted path of the visual adapter, in [0, 1]; 1 switches adaptation off.
        beta: The same for text.
        category: How the levels of a category path are combined (table 6).
        level: Level that is read with category "level", counted from 1.
        use_visual: Whether to read frames (table 4).
        use_text: Whether to read words (table 4).
        use_category: Whether to read categories (table 4).
        use_short_term: Whether to use the LSTM with its gate (table 7). Without, eq. 12 becomes f W.
        use_long_term: Whether to use the attention to earlier posts (table 7). Without, eq. 20 reads the own post alone.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    width: int = 64
    hidden: int = 64
    length: int = 8
    heads: int = 4
    alpha: float = 0.2
    beta: float = 0.6
    category: CategoryForm = "hierarchical"
    level: int = 1
    use_visual: bool = True
    use_text: bool = True
    use_category: bool = True
    use_short_term: bool = True
    use_long_term: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_ranges(self, alpha=SHARE, beta=SHARE)
        if not (self.use_visual or self.use_text or self.use_category):
            raise ValueError("at least one of use_visual, use_text, use_category must be true, given all false")


class Adapter(nn.Module):
    """Visual-language adapter, eq. 3: (1 - alpha) ReLU(Conv_3(x)) + alpha Conv_1(x), convolutions over the l places.

    The convolutions have no bias, so that an empty place stays zero. The last post sees zero to its right.
    """

    def __init__(self, inputs: int, width: int, kept: float) -> None:
        """Build the layer; `kept` is alpha for frames and beta for words."""
        super().__init__()
        self.kept = kept
        self.adapted = nn.Conv1d(inputs, width, 3, padding=1, bias=False)
        self.original = nn.Linear(inputs, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, l, d) for x (b, l, d_original)."""
        adapted = self.adapted(x.transpose(1, 2)).transpose(1, 2).relu()
        return (1.0 - self.kept) * adapted + self.kept * self.original(x)


class DSN(PostNetwork):
    """Network that forecasts a post from the l posts that end at it, whoever published them.

    `DSNPredictor` builds and fits one.
    """

    config_class = DSNConfig

    def __init__(self, config: DSNConfig, form: PostForm) -> None:
        """Build the network.

        Args:
            config: Hyper-parameters and switches.
            form: What the training items look like. Without categories there is no category part.
        """
        super().__init__(config, form, author_width=config.width, calendar=True)
        d, dropout = config.width, config.dropout
        kept = {"visual": config.alpha, "text": config.beta}
        used = [name for name in kept if getattr(config, f"use_{name}")]
        self.adapt = nn.ModuleDict({name: Adapter(form.widths[name], d, kept[name]) for name in used})
        self.embed_category = None
        if config.use_category and form.categories:
            sizes = [len(names) for names in form.categories]
            self.embed_category = CategoryEmbedding(sizes, d, form=config.category, level=config.level, dropout=dropout)
        blocks = len(used) + (self.embed_category is not None)
        self.reduce = nn.Linear(blocks * d, d, bias=False)  # W of eq. 12
        if config.use_short_term:
            self.recur = nn.LSTM(blocks * d, d, batch_first=True)
            self.gate, self.norm = Gate(d, dropout=dropout), nn.LayerNorm(d)
        self.refine = GatedResidual(d, dropout=dropout)
        if config.use_long_term:
            self.query, self.key, self.value = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.combine = nn.Sequential(nn.Linear(d * (1 + config.use_long_term), d), nn.ReLU(), nn.Linear(d, d))
        self.head = nn.Sequential(
            nn.Linear(d + self.author.width, config.hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(config.hidden, form.targets),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, posts: EarlierPosts, table: Table | None) -> Tensor:
        """Return standardised predictions (b, T).

        Args:
            posts: The posts of b windows.
            table: Table of the same windows; None if no statistic is read.
        """
        rows = posts.of_anybody(self.config.length)  # (b, l), the own post is the last one
        blocks = [adapt(self.content(posts.posts, rows, name)) for name, adapt in self.adapt.items()]  # eq. 4, 5
        if self.embed_category is not None:
            blocks.append(self.embed_category(self.category_codes(posts.posts, rows)))
        local = self._short_term(torch.cat(blocks, -1))  # eq. 10; (b, l, d)
        present = self.present(rows)
        last = present.sum(1) - 1
        own = local[torch.arange(len(rows), device=last.device), last]  # (b, d)
        features = [own]
        if self.config.use_long_term:
            earlier = present & (torch.arange(rows.shape[1], device=last.device) != last.unsqueeze(1))
            features.insert(0, self.attend(own, local, earlier)[0])
        post = self.combine(torch.cat(features, -1))  # eq. 20
        return self.head(torch.cat([post, self.dropout(self.author(posts, table))], -1))  # eq. 21

    def _short_term(self, features: Tensor) -> Tensor:
        """Return Phi (b, l, d), eq. 11-13."""
        reduced = self.reduce(features)
        if self.config.use_short_term:
            reduced = self.norm(self.gate(self.recur(features)[0]) + reduced)
        return self.refine(reduced)

    def attend(self, own: Tensor, local: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Attend from the own post to the earlier ones, eq. 17-19.

        The scores of each head are divided by the root of the head's width.

        Args:
            own: (b, d) Phi of the own post.
            local: (b, l, d) Phi of all places.
            earlier: (b, l) bool, True where there is an earlier post.

        Returns:
            h (b, d), zero without earlier posts, and the weights (b, heads, l), which sum to 1 or are all zero.
        """
        (b, length, d), heads = local.shape, self.config.heads
        query = self.query(own).view(b, heads, 1, d // heads)
        shape = (b, length, heads, d // heads)
        key, value = (part(local).view(shape).transpose(1, 2) for part in (self.key, self.value))
        scores = (query @ key.transpose(2, 3)).squeeze(2) * (d // heads) ** -0.5  # (b, heads, l)
        mask = earlier.unsqueeze(1)
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1) * mask
        return (self.dropout(weights).unsqueeze(2) @ value).reshape(b, d), weights


class DSNPredictor(PostPredictor):
    """DSN with frozen vectors of the pipeline's own encoders: the mean frame and the mean word of each post."""

    title = "DSN"
    code = 1
    network_class = DSN
    config_class = DSNConfig
    # Section 4.2, with the sequence length of table 3 and figure 4; section 4.2 has 16.
    paper = MappingProxyType(
        {
            "width": 256,
            "hidden": 256,
            "length": 8,
            "dropout": 0.25,
            "learning_rate": 1e-3,
            "weight_decay": 1e-4,
            "batch_size": 512,
            "epochs": 10,
        }
    )

    def content_obstacle(self, present: Set[str], *, depth: int) -> str | None:
        """Return that all content is lacking that the switches leave, or the level of the categories, if so."""
        use = self.config
        used = {name for name in present if getattr(use, f"use_{name}")}
        if not used and not (use.use_category and depth):
            switches = {"frames": use.use_visual, "words": use.use_text, "categories": use.use_category}
            read = " or ".join(name for name, switch in switches.items() if switch)
            return f"needs {read}; no training item has any"
        if use.use_category and use.category == "level" and 0 < depth < use.level:
            return f"reads level {use.level} of the categories; those of the training items have {depth}"
        return None
