"""The interface of every recommender."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import torch

from models.recommenders.histories import UserHistories
from models.recommenders.history_split import HistorySplit
from models.recommenders.item_features import ItemFeatures
from models.recommenders.queries import Queries


@dataclass(frozen=True)
class RecommenderEpoch:
    """One pass over the training exposures.

    Attributes:
        number: Number of the pass, from 1.
        loss: Mean training loss.
        dev: Metric on the validation exposures, larger is better; None without any.
        seconds: Time of the pass, with validation.
    """

    number: int
    loss: float
    dev: float | None
    seconds: float


@dataclass
class RecommenderReport:
    """Record of a fit.

    Attributes:
        epochs: The passes.
        best_epoch: Number of the pass whose weights are kept, from 1.
        best_dev: Validation metric of that pass; None without validation exposures.
        metric: Name of the validation metric.
        parameters: Number of trained parameters.
        seconds: Time of the fit.
        further: Further numbers that a model reports, by name.
    """

    metric: str
    parameters: int
    epochs: list[RecommenderEpoch] = field(default_factory=list)
    best_epoch: int = 0
    best_dev: float | None = None
    seconds: float = 0.0
    further: dict[str, Any] = field(default_factory=dict)


class Recommender(Protocol):
    """A model that is fitted to histories of users and scores which items a user clicks next.

    Attributes:
        title: Name of its row in tables of results.
        code: Version of its code; raise it when the same inputs give another result.
    """

    title: ClassVar[str]
    code: ClassVar[int]

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check `audience.options` of this recommender.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        ...

    @classmethod
    def from_options(cls, given: Mapping[str, Any]) -> Self:
        """Build an unfitted recommender.

        Args:
            given: Hyper-parameters by name; the others have their defaults.
        """
        ...

    def obstacle(self, histories: UserHistories, features: ItemFeatures) -> str | None:
        """Return why the recommender cannot be fitted to these data, in words that follow "NAME: "; None if it can."""
        ...

    def fit(
        self,
        histories: UserHistories,
        features: ItemFeatures,
        split: HistorySplit,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Callable[[RecommenderEpoch], None] | None = None,
    ) -> RecommenderReport:
        """Fit to the first `split.train[u]` exposures of each user u; `split.dev` decides when to stop.

        The exposures `split.test` change nothing.

        Args:
            histories: All exposures.
            features: Content of the items of `histories`.
            split: Which exposures are for training and validation. Without validation exposures all passes run.
            seed: Seed of everything random.
            device: Device to fit on.
            progress: Function to call after each pass.
        """
        ...

    def score(
        self,
        histories: UserHistories,
        features: ItemFeatures,
        queries: Queries,
        candidates: np.ndarray | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> np.ndarray:
        """Return scores, larger for an item that the user is more likely to click.

        Each score depends only on the first `queries.seen` exposures of its user, the time of the question, and the
        candidate. Callers that rank all items pass blocks of some hundred questions at a time.

        Args:
            histories: The histories that `queries` refers to, with the users of the fit.
            features: Content of the items of `histories`.
            queries: q questions.
            candidates: (q, c) rows of items. None: all N items.
            device: Device to compute on.

        Returns:
            (q, c) or (q, N) float32.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model into a folder, which is created if it does not exist."""
        ...

    def load(self, folder: Path) -> None:
        """Replace the model by one that `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        ...
