"""Gradient boosting on the table of metadata and observed counts, optionally with the content of the video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from models.predictors.content_components import ContentComponents
from models.predictors.growth import count_of, grows, growth_of
from models.predictors.ranges import COUNT, NOT_NEGATIVE, POSITIVE, check_ranges
from models.predictors.regression_predictor import RegressionPredictor
from models.predictors.samples import Bank, Samples
from models.predictors.search_space import SearchSpace, Span
from models.predictors.table import Table

if TYPE_CHECKING:
    from catboost import CatBoostRegressor, FeaturesData, Pool

TREES_WITHOUT_VALIDATION = 300
CONTENT = "content.npz"
COUNTED = "events counted"  # the part of a forecast that was counted already
FEW = 64  # windows below which CatBoost explains each one alone faster than it prepares its trees


@dataclass(frozen=True)
class BoostingOptions:
    """Hyper-parameters of CatBoost; the defaults were chosen on two data sets (docs/predictor.md has the comparison).

    Attributes:
        depth: Depth of a tree.
        learning_rate: Learning rate.
        l2: Penalty on the leaves' values.
        trees: Largest number of trees.
        patience: Trees without a better validation error before the fit stops.
        growth: Learn how much the count grows after the window instead of the count itself.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    depth: int = 6
    learning_rate: float = 0.03
    l2: float = 3.0
    trees: int = 3000
    patience: int = 100
    growth: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        if not 1 <= self.depth <= 16:
            raise ValueError(f"depth must lie in [1, 16], given {self.depth}")
        check_ranges(self, trees=COUNT, patience=COUNT, learning_rate=POSITIVE, l2=NOT_NEGATIVE)


class Boosting(RegressionPredictor):
    """CatBoost (Prokhorenkova et al. 2018) on `Samples.table`: a model per target, so that unknown labels cost no row.

    It is fitted to whole and cut windows, weighted by their shares, so one model forecasts at any age. It stops by the
    validation windows. Unknown numbers are NaN and unknown categories empty, which CatBoost handles itself.
    """

    title = "boosting"
    code = 3
    sees_feedback = True
    reads: tuple[str, ...] = ("whole_share", "options")
    options_class: ClassVar[type[BoostingOptions]] = BoostingOptions
    file = "boosting.json"
    space: ClassVar[SearchSpace] = {
        "depth": Span(3, 10),
        "learning_rate": Span(0.01, 0.3, log=True),
        "l2": Span(1.0, 30.0, log=True),
    }

    def __init__(self, options: BoostingOptions | None = None) -> None:
        """Build an unfitted predictor; None for the default options."""
        super().__init__(options)
        self._models: list[CatBoostRegressor | float] = []
        self._content: ContentComponents | None = None
        self._columns: list[list[str]] = []
        self._grows = False

    def fit_targets(self, train: Samples, dev: Samples | None, *, seed: int) -> int:
        """Fit a model per target, and return the largest number of trees.

        It uses as many threads as PyTorch; their number does not change the result.
        """
        self._grows = self.options.growth and grows(train)
        self._content = self._fit_content(train)
        tables = {"train": self.table_of(train), "dev": None if dev is None else self.table_of(dev)}
        self._columns = [list(tables["train"].numeric_names), list(tables["train"].categorical_names)]
        self._models = [
            _fit(
                self._pool(tables["train"], train, column),
                None if dev is None else self._pool(tables["dev"], dev, column),
                self.options,
                seed=seed,
            )
            for column in range(train.target.shape[1])
        ]
        return max((model.tree_count_ for model in self._models if not isinstance(model, float)), default=0)

    def parameter_count(self) -> int:
        """Return the number of leaves of all trees."""
        return sum(1 if isinstance(model, float) else len(model.get_leaf_values()) for model in self._models)

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T).

        Raises:
            ValueError: The samples have no table, or one with other columns than in training.
        """
        table = self.table_of(samples)
        if [list(table.numeric_names), list(table.categorical_names)] != self._columns:
            given = [*table.numeric_names, *table.categorical_names]
            raise ValueError(
                f"the table must have the columns of the training, {[*self._columns[0], *self._columns[1]]}, given {given}"
            )
        data = _data(table)
        values = np.column_stack(
            [
                np.full(len(samples), model)
                if isinstance(model, float)
                else model.predict(data, thread_count=_threads())
                for model in self._models
            ]
        )
        return count_of(values, samples) if self._grows else values

    def shap(self, samples: Samples) -> tuple[np.ndarray, list[str]]:
        """Return SHAP values: what each column adds to the model's expectation.

        If the trees forecast growth, their values are scaled so that they sum to the change of the forecast, and a further
        column holds what the count at the end of the window adds.

        Args:
            samples: n windows.

        Returns:
            (n, T, columns + 1) float64, the expectation last; they sum to the forecasts over the last axis. And the names of
            the columns.
        """
        from catboost import Pool

        table = self.table_of(samples)
        names = [*table.numeric_names, *table.categorical_names]
        data, mode = Pool(_data(table)), "NoPreCalc" if len(samples) < FEW else "UsePreCalc"
        values = np.zeros((len(samples), len(self._models), len(names) + 1))
        for column, model in enumerate(self._models):
            if isinstance(model, float):
                values[:, column, -1] = model
            else:
                values[:, column] = model.get_feature_importance(
                    data, type="ShapValues", shap_mode=mode, thread_count=_threads()
                )
        return (_shares_of_count(values, samples), [*names, COUNTED]) if self._grows else (values, names)

    def save(self, folder: Path) -> None:
        """Write the description, the components of the content, and a model per target that has one."""
        constants = [model if isinstance(model, float) else None for model in self._models]
        self.write_description(folder, {"columns": self._columns, "constants": constants, "grows": self._grows})
        for number, model in enumerate(self._models):
            if not isinstance(model, float):
                model.save_model(str(folder / f"target_{number}.cbm"))
        if self._content is not None:
            self._content.save(folder / CONTENT)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        from catboost import CatBoostRegressor

        description = self.read_description(folder)
        self._columns, self._grows = description["columns"], description.get("grows", False)
        self._models = [
            CatBoostRegressor().load_model(str(folder / f"target_{number}.cbm")) if constant is None else constant
            for number, constant in enumerate(description["constants"])
        ]
        if (folder / CONTENT).exists():
            self._content = ContentComponents.load(folder / CONTENT)

    def _fit_content(self, train: Samples) -> ContentComponents | None:
        """Return the components to fit on, or None without content."""
        return None

    def _metadata(self, samples: Samples) -> Table:
        """Return the columns of the table to fit on."""
        if samples.table is None:
            raise ValueError(f"{self.title} needs `samples.table`, given None")
        return samples.table

    def table_of(self, samples: Samples) -> Table:
        """Return the columns of the table and of the content."""
        table = self._metadata(samples)
        if self._content is None:
            return table
        # Windows of a video share its content.
        _, first, video = np.unique(samples.items, return_index=True, return_inverse=True)
        return table.beside(self._content.table(samples.features.take(first)).take(video))

    def _pool(self, table: Table, samples: Samples, column: int) -> Pool | None:
        """Return the windows whose label is known, weighted by their shares; None if there are none."""
        from catboost import Pool

        known = ~np.isnan(samples.target[:, column]) & self.windows_used(samples)
        if not known.any():
            return None
        weight = samples.weights_of(known) * known.sum()
        label = growth_of(samples.target, samples) if self._grows else samples.target
        return Pool(_data(table.take(known)), label[known, column], weight=weight)


class BoostingWithContent(Boosting):
    """The same with the principal components of the frames, the sound and the words."""

    title = "boosting + content"

    def _fit_content(self, train: Samples) -> ContentComponents:
        return ContentComponents.fit(train.features.take(train.first_windows))


def _shares_of_count(values: np.ndarray, samples: Samples) -> np.ndarray:
    """Return SHAP values of the count from those of its growth.

    Args:
        values: (n, T, columns + 1) of log2(1 + growth), the expectation last.
        samples: n windows.

    Returns:
        (n, T, columns + 2). The expectation is that of a window in which nothing was counted, and the value before it is what
        the count adds to that. Then the columns move the forecast in proportion to their values.
    """
    nothing = replace(samples, counted=np.zeros_like(samples.counted))
    expected, growth = values[..., -1], values.sum(-1)
    base, start, end = count_of(expected, nothing), count_of(expected, samples), count_of(growth, samples)
    moved = growth - expected
    slope = np.divide(end - start, moved, out=np.zeros_like(moved), where=np.abs(moved) > 1e-12)
    return np.concatenate([values[..., :-1] * slope[..., None], (start - base)[..., None], base[..., None]], axis=-1)


def _fit(pool: Pool, dev: Pool | None, options: BoostingOptions, *, seed: int) -> CatBoostRegressor | float:
    """Return a fitted model; or the mean of the labels if no column or no label varies, for which there is no model."""
    from catboost import CatBoostError, CatBoostRegressor

    label, weight = np.asarray(pool.get_label()), np.asarray(pool.get_weight())
    if np.ptp(label) == 0:
        return float(label[0])
    model = CatBoostRegressor(
        loss_function="RMSE",
        iterations=min(TREES_WITHOUT_VALIDATION, options.trees) if dev is None else options.trees,
        learning_rate=options.learning_rate,
        depth=options.depth,
        l2_leaf_reg=options.l2,
        random_seed=seed,
        thread_count=_threads(),
        allow_writing_files=False,
        verbose=False,
    )
    try:
        return model.fit(pool, eval_set=dev, early_stopping_rounds=None if dev is None else options.patience)
    except CatBoostError as error:
        if "constant" not in str(error):
            raise
        return float(np.average(label, weights=weight))


def _data(table: Table) -> FeaturesData:
    from catboost import FeaturesData

    texts = np.array([[str(text).encode() for text in row] for row in table.categorical], object)
    return FeaturesData(
        num_feature_data=table.numeric.astype(np.float32) if table.numeric_names else None,
        cat_feature_data=texts if table.categorical_names else None,
        num_feature_names=list(table.numeric_names) or None,
        cat_feature_names=list(table.categorical_names) or None,
    )


def _threads() -> int:
    return torch.get_num_threads()
