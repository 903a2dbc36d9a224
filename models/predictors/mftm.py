"""MFTM (Hsu et al. 2023, the code that the papers call so): the mean of LightGBM and TabNet on flat rows."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from models.predictors.flat_rows import FlatRows
from models.predictors.installed_extra import import_library, missing_library
from models.predictors.ranges import COUNT, POSITIVE, SEVERAL, SHARE, check_ranges
from models.predictors.regression_predictor import RegressionPredictor, target_scale
from models.predictors.row_scaler import RowScaler
from models.predictors.samples import Bank, Samples
from models.predictors.search_space import Choice, SearchSpace, Span

TREES_WITHOUT_VALIDATION = 100
GHOST = 128  # largest batch of TabNet's batch normalisation


@dataclass(frozen=True)
class MFTMOptions:
    """Hyper-parameters of both parts.

    Attributes:
        leaves: Leaves of a tree.
        learning_rate: Learning rate of the trees.
        trees: Largest number of trees.
        tree_patience: Trees without a better validation error before LightGBM stops.
        width: n_d = n_a, width of TabNet's decision and attention layers.
        steps: Decision steps of TabNet.
        gamma: How freely TabNet uses a column in several steps; at least 1.
        tabnet_learning_rate: Learning rate of TabNet.
        epochs: Largest number of passes of TabNet.
        patience: Passes without a better validation error before TabNet stops.
        batch_size: Videos per step of TabNet. With few steps its batch normalisation does not settle.
        trees_share: Weight of LightGBM in the forecast; TabNet has the rest.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    leaves: int = 31
    learning_rate: float = 0.05
    trees: int = 5000
    tree_patience: int = 50
    width: int = 16
    steps: int = 3
    gamma: float = 1.5
    tabnet_learning_rate: float = 0.02
    epochs: int = 200
    patience: int = 20
    batch_size: int = 64
    trees_share: float = 0.5

    def __post_init__(self) -> None:
        """Check the values."""
        counts = dict.fromkeys(("trees", "tree_patience", "width", "steps", "epochs", "patience"), COUNT)
        check_ranges(self, **counts, leaves=SEVERAL, batch_size=SEVERAL, trees_share=SHARE)
        check_ranges(self, learning_rate=POSITIVE, tabnet_learning_rate=POSITIVE, gamma=COUNT)


class MFTM(RegressionPredictor):
    """LightGBM and TabNet on mean content rows, metadata and category codes, without feedback; half of each.

    The papers' text cites another model of this name, for series of popularity, which a new video does not have.
    """

    title = "MFTM (LightGBM + TabNet)"
    code = 1
    options_class = MFTMOptions
    file = "mftm.json"
    space: ClassVar[SearchSpace] = {
        "leaves": Span(7, 127, log=True),
        "learning_rate": Span(0.01, 0.2, log=True),
        "width": Choice((8, 16, 32)),
        "steps": Span(2, 6),
        "gamma": Span(1.0, 2.0),
        "tabnet_learning_rate": Span(3e-3, 5e-2, log=True),
        "trees_share": Span(0.0, 1.0),
    }

    def __init__(self, options: MFTMOptions | None = None) -> None:
        """Build an unfitted predictor; None for the default options."""
        super().__init__(options)
        self._form: FlatRows | None = None
        self._target: RowScaler | None = None
        self._forests: list[Any] = []
        self._tabnets: list[Any] = []

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return which library is missing, else None."""
        return missing_library("lightgbm", "pytorch_tabnet")

    def fit_targets(self, train: Samples, dev: Samples | None, *, seed: int) -> int:
        """Fit both parts to every target, and return the largest number of trees."""
        used = self.windows_used(train)
        self._form = FlatRows.fit(train, used)
        self._target = RowScaler(np.nanmean(train.target[used], 0), target_scale(train.target[used]))
        rows, target = self._form.rows(train), self._standardised(train)
        held = None if dev is None else (self._form.rows(dev), self._standardised(dev), self.windows_used(dev))
        self._forests, self._tabnets = [], []
        for column in range(target.shape[1]):
            known = used & ~np.isnan(target[:, column])
            pair, check = (rows[known], target[known, column]), None
            if held is not None and (there := held[2] & ~np.isnan(held[1][:, column])).any():
                check = held[0][there], held[1][there, column]
            self._forests.append(self._fit_trees(pair, check, seed))
            self._tabnets.append(self._fit_tabnet(pair, check, seed))
        return max(
            forest.best_iteration if forest.best_iteration > 0 else forest.num_trees() for forest in self._forests
        )

    def parameter_count(self) -> int:
        """Return the number of leaves of all trees and of TabNet's weights."""
        leaves = sum(tree["num_leaves"] for forest in self._forests for tree in forest.dump_model()["tree_info"])
        return leaves + sum(weights.numel() for tabnet in self._tabnets for weights in tabnet.network.parameters())

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T) float64, on the scale of the targets."""
        rows, share = self._form.rows(samples), self.options.trees_share
        trees = [forest.predict(rows, num_threads=torch.get_num_threads()) for forest in self._forests]
        with _contained():
            tabnets = [tabnet.predict(rows)[:, 0].astype(np.float64) for tabnet in self._tabnets]
        forecasts = share * np.column_stack(trees) + (1 - share) * np.column_stack(tabnets)
        return forecasts * self._target.scale + self._target.mean

    def save(self, folder: Path) -> None:
        """Write `mftm.json`, and per target LightGBM's text and TabNet's archive of JSON and tensors."""
        form = {"numeric_names": self._form.numeric_names, "vocabularies": self._form.vocabularies}
        scales = {
            name: {key: value.tolist() for key, value in asdict(scaler).items()} for name, scaler in self._scalers()
        }
        self.write_description(folder, {**form, "scales": scales})
        for number, (forest, tabnet) in enumerate(zip(self._forests, self._tabnets, strict=True)):
            forest.save_model(folder / f"trees_{number}.txt")
            with _contained():
                tabnet.save_model(str(folder / f"tabnet_{number}"))

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        stored = self.read_description(folder)
        scales = {name: RowScaler(*map(np.array, scale.values())) for name, scale in stored["scales"].items()}
        self._target = scales["target"]
        self._form = FlatRows(scales["rows"], tuple(stored["numeric_names"]), stored["vocabularies"])
        self._forests, self._tabnets = [], []
        for number in range(len(self._target.mean)):
            booster = import_library("lightgbm").Booster(model_file=folder / f"trees_{number}.txt")
            with _contained():
                tabnet = import_library("pytorch_tabnet.tab_model").TabNetRegressor(device_name="cpu", verbose=0)
                tabnet.load_model(str(folder / f"tabnet_{number}.zip"))
            self._forests.append(booster)
            self._tabnets.append(tabnet)

    def _scalers(self) -> Iterator[tuple[str, RowScaler]]:
        yield from (("rows", self._form.scaler), ("target", self._target))

    def _standardised(self, samples: Samples) -> np.ndarray:
        return (samples.target - self._target.mean) / self._target.scale

    def _fit_trees(
        self, pair: tuple[np.ndarray, np.ndarray], check: tuple[np.ndarray, np.ndarray] | None, seed: int
    ) -> Any:
        lightgbm, use = import_library("lightgbm"), self.options
        first = pair[0].shape[1] - len(self._form.sizes)
        train = lightgbm.Dataset(*pair, categorical_feature=list(range(first, pair[0].shape[1])))
        parameters = {
            "objective": "regression",
            "num_leaves": use.leaves,
            "learning_rate": use.learning_rate,
            "seed": seed,
            "num_threads": torch.get_num_threads(),
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }
        if check is None:
            return lightgbm.train(parameters, train, min(use.trees, TREES_WITHOUT_VALIDATION))
        stop = lightgbm.early_stopping(use.tree_patience, verbose=False)
        return lightgbm.train(
            parameters, train, use.trees, valid_sets=[lightgbm.Dataset(*check, reference=train)], callbacks=[stop]
        )

    def _fit_tabnet(
        self, pair: tuple[np.ndarray, np.ndarray], check: tuple[np.ndarray, np.ndarray] | None, seed: int
    ) -> Any:
        use, sizes = self.options, self._form.sizes
        first, batch = pair[0].shape[1] - len(sizes), min(use.batch_size, len(pair[0]))
        rows, label = pair[0], pair[1][:, None].astype(np.float32)
        with _contained():
            model = import_library("pytorch_tabnet.tab_model").TabNetRegressor(
                n_d=use.width,
                n_a=use.width,
                n_steps=use.steps,
                gamma=use.gamma,
                cat_idxs=list(range(first, rows.shape[1])),
                cat_dims=sizes,
                optimizer_params={"lr": use.tabnet_learning_rate},
                seed=seed,
                device_name="cpu",
                verbose=0,
            )
            model.fit(
                rows,
                label,
                eval_set=None if check is None else [(check[0], check[1][:, None].astype(np.float32))],
                eval_metric=None if check is None else ["mse"],
                max_epochs=use.epochs,
                patience=0 if check is None else use.patience,
                batch_size=batch,
                virtual_batch_size=min(GHOST, batch),
                compute_importance=False,
            )
        return model


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Keep PyTorch's random state, which TabNet changes even to forecast, and hide what it prints and warns of."""
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
