"""Expected growth of a count from the end of its window to each horizon, by gradient boosting over all horizons at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.curves.curve_inputs import CurveInputs

if TYPE_CHECKING:
    from catboost import CatBoostRegressor, Pool

FOLDS = 4
TREES, DEPTH, RATE, BORDERS = 150, 5, 0.1, 32
ERROR_TREES, ERROR_DEPTH, ERROR_RATE = 60, 4, 0.1
SMALLEST_ERROR = 0.1  # added to errors before their logarithm is taken
YOUNGEST = 1 / 60  # hours; younger windows have this age where its logarithm is taken


@dataclass
class GrowthRegression:
    """CatBoost regressions of log2(1 + growth), where growth is the count at a horizon minus the count at the window's end.

    A row is a window and a horizon after its end. It holds the window's table, the horizon, the age, what was counted, and what
    the retrieved videos and the simulated continuations had at that horizon. The training items are split into `FOLDS` parts,
    and each model is fitted without one of them. A training item is forecast by the model that has not seen it, any other item
    by the mean of all models. Further models of the same rows forecast how large the error is: the mean of log2 of its size.

    Attributes:
        hours: (H,) horizons in hours; infinite for the end of the data.
        models: One model per part.
        error_models: One model of the error's size per part.
        fold: Item -> the part that it belongs to.
    """

    hours: np.ndarray
    models: list[CatBoostRegressor]
    error_models: list[CatBoostRegressor]
    fold: dict[str, int]

    @classmethod
    def fit(
        cls, inputs: CurveInputs, growth: np.ndarray, *, target: int, hours: np.ndarray, weights: np.ndarray, seed: int
    ) -> GrowthRegression:
        """Fit the models.

        Args:
            inputs: n windows of training items.
            growth: (n, H) log2(1 + growth); NaN where unknown, or where the horizon has passed.
            target: Number of the target.
            hours: (H,) horizons.
            weights: (n,) weights of the windows.
            seed: Seed of the parts and of the models.
        """
        distinct = np.unique(inputs.items)
        parts = np.random.default_rng(seed).permutation(len(distinct)) % min(FOLDS, len(distinct))
        fold = dict(zip(distinct.tolist(), parts.tolist(), strict=True))
        window, horizon = np.nonzero(~np.isnan(growth))
        of_row = np.array([fold[item] for item in inputs.items[window]])
        rows = np.bincount(window, minlength=len(inputs))  # a window's weight is divided among its horizons
        weight = (weights / np.maximum(rows, 1))[window]

        def fitted(label: np.ndarray, **options: float) -> list[CatBoostRegressor]:
            models = []
            for part in range(parts.max() + 1):
                used = np.flatnonzero(of_row != part)
                pool = _pool(inputs, target, hours, window[used], horizon[used], label[used], weight[used])
                models.append(_new_model(seed, **options).fit(pool))
            return models

        label = growth[window, horizon]
        regression = cls(hours, fitted(label, iterations=TREES, depth=DEPTH, learning_rate=RATE), [], fold)
        missed = np.abs(label - regression.predict(inputs, target=target)[0][window, horizon])
        regression.error_models = fitted(
            np.log2(missed + SMALLEST_ERROR), iterations=ERROR_TREES, depth=ERROR_DEPTH, learning_rate=ERROR_RATE
        )
        return regression

    def predict(self, inputs: CurveInputs, *, target: int) -> tuple[np.ndarray, np.ndarray]:
        """Return forecasts at every horizon after each window's end, and NaN at others.

        Returns:
            (n, H) log2(1 + growth), and (n, H) the size of its error.
        """
        values = np.full((2, len(inputs), len(self.hours)), np.nan)
        window, horizon = np.nonzero(self.hours > inputs.age[:, None])
        if len(window):
            pool = _pool(inputs, target, self.hours, window, horizon)
            part = np.array([self.fold.get(item, -1) for item in inputs.items.tolist()])[window]
            values[0, window, horizon] = _by_part(self.models, pool, part)
            values[1, window, horizon] = np.exp2(_by_part(self.error_models, pool, part))
        return values[0], values[1]

    def gain_of_mean(self, inputs: CurveInputs, growth: np.ndarray, *, target: int) -> np.ndarray:
        """Return how much smaller the error of the mean of all models is than that of one model, as a ratio per horizon.

        Args:
            inputs: n windows of items that no model was fitted on.
            growth: (n, H) observed log2(1 + growth); NaN where unknown.
            target: Number of the target.

        Returns:
            (H,) in (0, 1]; 1 where nothing is known.
        """
        ratios = np.ones(len(self.hours))
        window, horizon = np.nonzero(~np.isnan(growth))
        if not len(window):
            return ratios
        values = _by_model(self.models, _pool(inputs, target, self.hours, window, horizon))
        missed = growth[window, horizon] - values  # (models, rows)
        for place in np.unique(horizon):
            own = missed[:, horizon == place]
            ratios[place] = np.sqrt((own.mean(0) ** 2).mean() / (own**2).mean())
        return ratios

    def save(self, folder: Path) -> None:
        """Write the models into a folder."""
        for kind, models in (("growth", self.models), ("error", self.error_models)):
            for number, model in enumerate(models):
                model.save_model(str(folder / f"{kind}_{number}.cbm"))

    @classmethod
    def load(cls, folder: Path, *, hours: np.ndarray, fold: dict[str, int]) -> GrowthRegression:
        """Read what `save` wrote."""
        from catboost import CatBoostRegressor

        models, error_models = (
            [CatBoostRegressor().load_model(str(file)) for file in sorted(folder.glob(f"{kind}_*.cbm"))]
            for kind in ("growth", "error")
        )
        return cls(hours, models, error_models, fold)


def _by_part(models: list[CatBoostRegressor], pool: Pool, part: np.ndarray) -> np.ndarray:
    """Return the forecast of the model that was fitted without a row's part; the mean of all where the part is -1."""
    if not models:
        return np.full(len(part), np.nan)
    values = _by_model(models, pool)
    return np.where(part >= 0, values[np.maximum(part, 0), np.arange(len(part))], values.mean(0))


def _by_model(models: list[CatBoostRegressor], pool: Pool) -> np.ndarray:
    return np.stack([model.predict(pool, thread_count=torch.get_num_threads()) for model in models])


def _new_model(seed: int, **options: float) -> CatBoostRegressor:
    from catboost import CatBoostRegressor

    return CatBoostRegressor(
        **options,
        loss_function="RMSE",
        border_count=BORDERS,
        boosting_type="Plain",
        random_seed=seed,
        thread_count=torch.get_num_threads(),
        allow_writing_files=False,
        verbose=False,
    )


def _pool(
    inputs: CurveInputs,
    target: int,
    hours: np.ndarray,
    window: np.ndarray,
    horizon: np.ndarray,
    label: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Pool:
    """Return the rows of some windows and horizons."""
    from catboost import FeaturesData, Pool

    at, age = hours[horizon], np.maximum(inputs.age[window], YOUNGEST)
    simulated = np.log2(1.0 + inputs.simulated[window, target, horizon])
    middle = simulated[:, simulated.shape[1] // 2]
    neighbours = inputs.neighbours[window, target, horizon]
    counted = np.log2(1.0 + inputs.counted[window, target])
    finite = np.isfinite(at)
    ours = {
        "horizon": np.where(finite, np.log2(np.where(finite, at, 1.0)), np.nan),
        "log age": np.log2(age),
        "ages passed": np.where(finite, np.log2(np.where(finite, at, 1.0) / age), np.nan),
        "counted": counted,
        "neighbours' mean": neighbours[:, 0],
        "neighbours' deviation": neighbours[:, 1],
        "neighbours' growth": neighbours[:, 0] - counted,
        "simulated median": middle,
        "simulated spread": simulated[:, -1] - simulated[:, 0],
    }
    table = inputs.table
    numeric = np.column_stack([table.numeric[window], *ours.values()]).astype(np.float32)
    names = [*table.numeric_names, *(f"curve {name}" for name in ours)]
    texts = np.array([[str(text).encode() for text in row] for row in table.categorical], object)
    return Pool(
        FeaturesData(
            num_feature_data=numeric,
            cat_feature_data=texts[window] if table.categorical_names else None,
            num_feature_names=names,
            cat_feature_names=list(table.categorical_names) or None,
        ),
        label,
        weight=weight,
    )
