"""Gradient boosting on the table of metadata and observed counts, optionally with the content of the video."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import nn

from models.predictors.content_components import ContentComponents
from models.predictors.own_options import build_options
from models.predictors.samples import Bank, Samples
from models.predictors.table import Table
from models.predictors.training_report import Epoch, TrainingReport
from models.predictors.validation import check_targets, mean_nmse

if TYPE_CHECKING:
    from catboost import CatBoostRegressor, FeaturesData, Pool

FORMAT = 1
TREES_WITHOUT_VALIDATION = 100


@dataclass(frozen=True)
class BoostingOptions:
    """Hyper-parameters of CatBoost; the defaults were chosen on two data sets (docs/predictor.md has the comparison).

    Attributes:
        depth: Depth of a tree.
        learning_rate: Learning rate.
        l2: Penalty on the leaves' values.
        trees: Largest number of trees.
        patience: Trees without a better validation error before the fit stops.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    depth: int = 6
    learning_rate: float = 0.1
    l2: float = 3.0
    trees: int = 1000
    patience: int = 50

    def __post_init__(self) -> None:
        """Check the values."""
        if not 1 <= self.depth <= 16:
            raise ValueError(f"depth must lie in [1, 16], given {self.depth}")
        for name in ("trees", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, given {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, given {self.learning_rate}")
        if not self.l2 >= 0:
            raise ValueError(f"l2 must be at least 0, given {self.l2}")


class Boosting:
    """CatBoost (Prokhorenkova et al. 2018) on `Samples.table`: a model per target, so that unknown labels cost no row.

    It is fitted to whole and cut windows, weighted by their shares, so one model forecasts at any age. It stops by the
    validation windows. Unknown numbers are NaN and unknown categories empty, which CatBoost handles itself.
    """

    title = "boosting"
    code = 1
    seeded = True
    sees_feedback = True
    reads: tuple[str, ...] = ("whole_share", "options")

    def __init__(self, options: BoostingOptions | None = None) -> None:
        """Build an unfitted predictor; None for the default options."""
        self.options = options or BoostingOptions()
        self._models: list[CatBoostRegressor | float] = []
        self._content: ContentComponents | None = None
        self._columns: list[list[str]] = []

    @classmethod
    def reads_table(cls, settings: Mapping[str, Any]) -> bool:
        """Return True."""
        return True

    @classmethod
    def check_options(cls, given: Mapping[str, Any]) -> None:
        """Check `model.options` of this predictor.

        Raises:
            ValueError: An option is unknown, or has another type or range; the message lists what is allowed.
        """
        build_options(given, BoostingOptions)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], *, temporal_encoder: nn.Module | None) -> Self:
        """Build an unfitted predictor; the process does not change it."""
        return cls(*build_options(settings["options"], BoostingOptions))

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return None: it fits any data."""
        return None

    def fit(
        self,
        train: Samples,
        dev: Samples | None,
        bank: Bank,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        progress: Callable[[Epoch], None] | None = None,
    ) -> TrainingReport:
        """Fit a model per target; see `models.predictors.predictor.Predictor`.

        It runs on the CPU with as many threads as PyTorch; their number does not change the result.
        """
        check_targets(train, dev)
        started, report = time.perf_counter(), TrainingReport(seed)
        self._content = self._fit_content(train)
        tables = {"train": self._table(train), "dev": None if dev is None else self._table(dev)}
        self._columns = [list(tables["train"].numeric_names), list(tables["train"].categorical_names)]
        self._models = [
            _fit(
                _pool(tables["train"], train, column),
                None if dev is None else _pool(tables["dev"], dev, column),
                self.options,
                seed=seed,
            )
            for column in range(train.target.shape[1])
        ]
        if dev is not None:
            scale = np.nan_to_num(np.nanstd(train.target, axis=0), nan=1.0)
            report.best_dev_nmse = mean_nmse(dev, self.predict(dev, bank), scale=np.where(scale > 0, scale, 1.0))
        report.best_epoch = max(
            (model.tree_count_ for model in self._models if not isinstance(model, float)), default=0
        )
        report.parameters = sum(
            1 if isinstance(model, float) else len(model.get_leaf_values()) for model in self._models
        )
        report.seconds = time.perf_counter() - started
        return report

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T).

        Raises:
            ValueError: The samples have no table, or one with other columns than in training.
        """
        table = self._table(samples)
        if [list(table.numeric_names), list(table.categorical_names)] != self._columns:
            given = [*table.numeric_names, *table.categorical_names]
            raise ValueError(
                f"the table must have the columns of the training, {[*self._columns[0], *self._columns[1]]}, given {given}"
            )
        data = _data(table)
        return np.column_stack(
            [
                np.full(len(samples), model)
                if isinstance(model, float)
                else model.predict(data, thread_count=_threads())
                for model in self._models
            ]
        )

    def save(self, folder: Path) -> None:
        """Write `boosting.json`, the components of the content, and a model per target that has one."""
        folder.mkdir(parents=True, exist_ok=True)
        constants = [model if isinstance(model, float) else None for model in self._models]
        description = {"format": FORMAT, "columns": self._columns, "constants": constants}
        (folder / "boosting.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        for number, model in enumerate(self._models):
            if not isinstance(model, float):
                model.save_model(str(folder / f"target_{number}.cbm"))
        if self._content is not None:
            parts = {"mean": self._content.means, "axes": self._content.axes}
            arrays = {f"{part} {name}": array for part, named in parts.items() for name, array in named.items()}
            np.savez(folder / "content.npz", **arrays)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        from catboost import CatBoostRegressor

        description = json.loads((folder / "boosting.json").read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise ValueError(f"{folder} has a model of format {description['format']}, but this version reads {FORMAT}")
        self._columns = description["columns"]
        self._models = [
            CatBoostRegressor().load_model(str(folder / f"target_{number}.cbm")) if constant is None else constant
            for number, constant in enumerate(description["constants"])
        ]
        if (folder / "content.npz").exists():
            with np.load(folder / "content.npz") as stored:
                means, axes = (
                    {key.split()[1]: stored[key] for key in stored if key.startswith(part)}
                    for part in ("mean ", "axes ")
                )
            self._content = ContentComponents(means, axes)

    def _fit_content(self, train: Samples) -> ContentComponents | None:
        """Return the components to fit on, or None without content."""
        return None

    def _table(self, samples: Samples) -> Table:
        if samples.table is None:
            raise ValueError("boosting needs `samples.table`, given None")
        if self._content is None:
            return samples.table
        # Windows of a video share its content.
        _, first, video = np.unique(samples.items, return_index=True, return_inverse=True)
        return samples.table.beside(self._content.table(samples.features.take(first)).take(video))


class BoostingWithContent(Boosting):
    """The same with the principal components of the frames, the sound and the words."""

    title = "boosting + content"

    def _fit_content(self, train: Samples) -> ContentComponents:
        return ContentComponents.fit(train.features.take(np.sort(np.unique(train.items, return_index=True)[1])))


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


def _pool(table: Table, samples: Samples, column: int) -> Pool | None:
    """Return the windows whose label is known, weighted by their shares; None if there are none."""
    from catboost import Pool

    known = ~np.isnan(samples.target[:, column])
    if not known.any():
        return None
    return Pool(_data(table.take(known)), samples.target[known, column], weight=samples.weights_of(known) * known.sum())


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
