"""HyFea (Lai et al. 2020): CatBoost on groups of hand-made features and reduced content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np

from models.predictors.boosting import Boosting, BoostingOptions
from models.predictors.column_groups import Group, columns_of, group_of
from models.predictors.content_components import ContentComponents
from models.predictors.ranges import COUNT, check_ranges
from models.predictors.row_scaler import compress
from models.predictors.samples import Samples
from models.predictors.search_space import Choice, SearchSpace
from models.predictors.table import Table


@dataclass(frozen=True)
class HyFeaOptions(BoostingOptions):
    """Hyper-parameters of HyFea; see `BoostingOptions` for those of CatBoost.

    Attributes:
        components: Largest number of components per modality that the frames and the words are reduced to.
    """

    learning_rate: float = 0.03
    trees: int = 5000
    growth: bool = False
    components: int = 64

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        check_ranges(self, components=COUNT)


class HyFea(Boosting):
    """CatBoost on image, category, time, user, tag and other features, without feedback.

    The mean frame and the mean word are reduced by a truncated singular value decomposition. Categories are taken at every
    level. The user's statistics and history are log-compressed, and her id is a category. Sound is not read.
    """

    title = "HyFea"
    code = 1
    sees_feedback = False
    reads = ("options",)
    options_class = HyFeaOptions
    file = "hyfea.json"
    space: ClassVar[SearchSpace] = {**Boosting.space, "components": Choice((16, 32, 64, 128, 256))}
    groups: tuple[Group, ...] = tuple(group for group in get_args(Group) if group != "counts")

    def _fit_content(self, train: Samples) -> ContentComponents:
        return ContentComponents.fit(
            train.features.take(train.first_windows),
            modalities=("visual", "text"),
            components=self.options.components,
            centred=False,
        )

    def _metadata(self, samples: Samples) -> Table:
        table = columns_of(super()._metadata(samples), self.groups)
        users = [group_of(name) == "user" for name in table.numeric_names]
        numeric = np.where(users, compress(table.numeric), table.numeric)
        return Table(numeric, table.numeric_names, table.categorical, table.categorical_names)


class HyFeaWithCounts(HyFea):
    """The same with the counts of the window, which the paper's features lack."""

    title = "HyFea + observed counts"
    sees_feedback = True
    reads = (*HyFea.reads, "whole_share")
    groups = get_args(Group)
