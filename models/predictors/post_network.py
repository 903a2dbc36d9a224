"""Base of the predictors that read posts in the order of their publication: DSN, DTCN, Multi-view, TTC-VLT."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor, nn

from models.predictors.author_features import AuthorFeatures, statistic_names
from models.predictors.earlier_posts import EarlierPosts, PublishedPosts
from models.predictors.features import on_device
from models.predictors.network import PredictorNetwork
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.own_options import network_options
from models.predictors.ranges import COUNT, RATE, check_ranges
from models.predictors.samples import Bank, Minibatch, Samples
from models.predictors.standardise import Standardiser
from models.predictors.table import Table

MODALITIES = ("visual", "text")


@dataclass(frozen=True)
class PostConfig:
    """Hyper-parameters that all of these networks have.

    Attributes:
        dropout: Dropout rate, in [0, 1).
        unknown_authors: Share of authors that are replaced by the unknown one in training, in [0, 1).
        use_statistics: Whether to read given statistics of the author. They leak if they were collected after the forecast.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    dropout: float = 0.0
    unknown_authors: float = 0.05
    use_statistics: bool = True

    def __post_init__(self) -> None:
        """Check the rates, and of a subclass the whole numbers, which count something, and the heads."""
        counts = {field.name: COUNT for field in fields(self) if field.type == "int"}
        check_ranges(self, dropout=RATE, unknown_authors=RATE, **counts)
        heads, width = getattr(self, "heads", 1), getattr(self, "width", 1)
        if width % heads:
            raise ValueError(f"heads must divide width, given {heads} heads and width {width}")


@dataclass(frozen=True)
class PostForm:
    """What the training items look like; the sizes of a network's layers follow from it.

    Attributes:
        widths: Modality -> width of its vectors.
        authors: Ids of the training items' authors, sorted.
        categories: Per level of the category paths, the training items' paths up to that level, sorted.
        statistics: Names of the table's columns that are statistics of the author.
        targets: T, the number of targets.
    """

    widths: dict[str, int]
    authors: list[str]
    categories: list[list[str]]
    statistics: list[str]
    targets: int

    @classmethod
    def of(cls, samples: Samples) -> PostForm:
        """Return the form of the training samples."""
        posts, own = samples.posts.posts, np.unique(samples.posts.own)
        authors = np.unique(posts.author[own])
        levels = [np.unique(column[column > 0]) for column in posts.category[own].T]
        names = [
            sorted(known[code - 1] for code in codes.tolist())
            for known, codes in zip(posts.categories, levels, strict=True)
        ]
        return cls(
            widths={name: posts.content[name].shape[1] for name in MODALITIES},
            authors=sorted(posts.authors[author] for author in authors[authors >= 0].tolist()),
            categories=[level for level in names if level],
            statistics=statistic_names(samples.table),
            targets=samples.target.shape[1],
        )


class PostNetwork(PredictorNetwork):
    """Network over the mean frame and the mean word of posts, and over their authors.

    It reads no labels and no feedback of any post.
    """

    reads_rows = False
    reads_neighbours = False
    reads_posts = True
    config_class: ClassVar[type[PostConfig]]

    def __init__(self, config: PostConfig, form: PostForm, *, author_width: int, calendar: bool) -> None:
        """Build the standardisers and the author's part; a subclass adds its layers.

        Args:
            config: Hyper-parameters, a `config_class`.
            form: What the training items look like.
            author_width: Width of the embedding of an author's id.
            calendar: Whether the author's part includes the time of publication.
        """
        super().__init__()
        self.config, self.form = config, form
        self.standardise = nn.ModuleDict({name: Standardiser(form.widths[name]) for name in MODALITIES})
        self.standardise_target = Standardiser(form.targets)
        self.author = AuthorFeatures(
            form.authors,
            form.statistics if config.use_statistics else [],
            embedding=author_width,
            unknown=config.unknown_authors,
            calendar=calendar,
        )

    @property
    def reads_tables(self) -> bool:
        """Whether it reads statistics of the authors."""
        return bool(self.author.statistics.columns)

    def description(self) -> dict[str, Any]:
        """Return the configuration and the form of the training items."""
        return {"config": asdict(self.config), "form": asdict(self.form)}

    @classmethod
    def from_description(cls, description: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build the network that `description` returned, with initial weights."""
        return cls(cls.config_class(**description["config"]), PostForm(**description["form"]))

    def fit_scales(self, samples: Samples, videos: np.ndarray) -> None:
        """Fit the standardisers to the own posts of the training items; earlier posts of other splits take no part."""
        posts = samples.posts.take(videos)
        for name in MODALITIES:
            self.standardise[name].fit(posts.posts.content[name][posts.own])
        self.author.fit(posts, None if samples.table is None else samples.table.take(videos))
        self.standardise_target.fit(samples.target[videos])

    def forecast(self, batch: Minibatch) -> Tensor:
        """Return predictions (b, T) for a minibatch, on the scale of the targets."""
        return self.standardise_target.inverse(self(batch.posts, batch.tables[0] if batch.tables else None))

    @abstractmethod
    def forward(self, posts: EarlierPosts, table: Table | None) -> Tensor:
        """Return standardised predictions (b, T).

        Args:
            posts: The posts of b windows.
            table: Table of the same windows; None if no statistic is read.
        """

    def content(self, posts: PublishedPosts, rows: np.ndarray, name: str) -> Tensor:
        """Return standardised vectors of one modality.

        Args:
            posts: All posts.
            rows: (...) rows of posts, -1 for none.
            name: The modality.

        Returns:
            (..., d_name), zero where there is no post or where the post lacks the modality.
        """
        like = self.standardise_target.mean
        values = on_device(posts.content[name][rows], like.device).to(like.dtype)
        return self.standardise[name](values).nan_to_num(0.0) * self.present(rows).unsqueeze(-1)

    def present(self, rows: np.ndarray) -> Tensor:
        """Return a bool tensor on the network's device that is True where there is a post."""
        return on_device(rows >= 0, self.standardise_target.mean.device)

    def category_codes(self, posts: PublishedPosts, rows: np.ndarray) -> Tensor:
        """Return the codes of the posts' category paths, (..., D) int64; 0 where a category is unknown.

        Args:
            posts: All posts. Their paths may be deeper or shallower than those of the training items.
            rows: (...) rows of posts, -1 for none.
        """
        codes = np.zeros((*rows.shape, len(self.form.categories)), np.int64)
        for level, (known, names) in enumerate(zip(self.form.categories, posts.categories, strict=False)):
            of_name = {name: code for code, name in enumerate(known, start=1)}
            place = np.array([0, *(of_name.get(name, 0) for name in names)])
            codes[..., level] = np.where(rows >= 0, place[posts.category[rows, level]], 0)
        return on_device(codes, self.standardise_target.mean.device)


class PostPredictor(NeuralPredictor):
    """A predictor around a `PostNetwork`.

    Attributes:
        needs_authors: Whether it reads posts of the same author, so that it cannot be fitted without authors.
    """

    network_class: ClassVar[type[PostNetwork]]
    reads_posts = True
    forecasts_alone = False
    sees_feedback = False
    needs_authors: ClassVar[bool] = False

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return whether statistics of the authors are read."""
        return network_options(cls.config_class, settings, paper=cls.paper, further={})[0].use_statistics

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return why the predictor cannot be fitted to these data; None if it can."""
        posts, own = train.posts.posts, train.posts.own
        if np.isnan(posts.time[own]).all():
            return "needs times of publication; no training item has one"
        if self.needs_authors and (posts.author[own] < 0).all():
            return "needs authors; no training item has one"
        present = {name for name in MODALITIES if not np.isnan(posts.content[name][own, 0]).all()}
        return self.content_obstacle(present, depth=len(PostForm.of(train).categories))

    def content_obstacle(self, present: Set[str], *, depth: int) -> str | None:
        """Return why this content is not enough; None if it is. By default frames or words are.

        Args:
            present: Modalities that some training item has.
            depth: Levels of the training items' categories.
        """
        return None if present else "needs frames or words; no training item has any"

    def build(self, samples: Samples) -> PostNetwork:
        """Return a network with initial weights."""
        return self.network_class(self.config, PostForm.of(samples))
