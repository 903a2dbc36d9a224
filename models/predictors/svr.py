"""Support vector regression on the content of a video (Khosla et al. 2014), optionally with what was counted so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch

from models.predictors.column_groups import columns_of
from models.predictors.content_components import content_rows, has_content
from models.predictors.installed_extra import import_library, missing_library
from models.predictors.ranges import COUNT, NOT_NEGATIVE, POSITIVE, check_ranges
from models.predictors.regression_predictor import RegressionPredictor, target_scale
from models.predictors.row_scaler import RowScaler, compress
from models.predictors.samples import Bank, Samples
from models.predictors.search_space import SearchSpace, Span

PENALTIES, WIDTHS = (0.1, 1.0, 10.0), (0.01, 0.1)  # the grid of C and epsilon
CHUNK = 1024  # windows compared with all support vectors at once


@dataclass(frozen=True)
class SVROptions:
    """Hyper-parameters of the regression, on standardised targets.

    Attributes:
        penalty: C, the weight of the errors; None chooses from 0.1, 1 and 10 by the validation windows, or 1 without them.
        epsilon: Half the width of the tube without an error; None chooses from 0.01 and 0.1, or 0.1 without validation.
        exact_rows: Largest number of training windows for the exact fit, whose memory is quadratic (0.8 GB for 10,000).
            More windows are fitted with the Nystroem approximation of the kernel.
        landmarks: Windows that the approximation is built on.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    penalty: float | None = None
    epsilon: float | None = None
    exact_rows: int = 10_000
    landmarks: int = 1_000

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, penalty=POSITIVE, epsilon=NOT_NEGATIVE, exact_rows=COUNT, landmarks=COUNT)


@dataclass(frozen=True)
class KernelSum:
    """The fitted function f(x) = sum_i w_i exp(-gamma |x - z_i|^2) + b of one target.

    Attributes:
        points: (m, d) the support vectors z_i, or the landmarks.
        weights: (m,) w_i.
        constants: (2,) gamma and b.
    """

    points: np.ndarray
    weights: np.ndarray
    constants: np.ndarray

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return f of rows (n, d), (n,)."""
        gamma, intercept = self.constants
        parts = [np.empty(0)]
        for start in range(0, len(rows), CHUNK):
            parts.append(gaussian_kernel(rows[start : start + CHUNK], self.points, gamma) @ self.weights)
        return np.concatenate(parts) + intercept


def gaussian_kernel(first: np.ndarray, second: np.ndarray, gamma: float) -> np.ndarray:
    """Return exp(-gamma |x_i - z_j|^2) of rows x (n, d) and z (m, d), (n, m)."""
    squares = first @ second.T
    squares *= -2.0
    squares += (first**2).sum(1)[:, None]
    squares += (second**2).sum(1)
    return np.exp(-gamma * np.maximum(squares, 0.0, out=squares), out=squares)


class SVR(RegressionPredictor):
    """Epsilon-insensitive regression with a Gaussian kernel on x = [mean frame, mean sound, mean word].

    Every channel is standardised on the training videos, and a missing modality is their mean. gamma is 1 / (d var(x)). C and
    epsilon come from a grid on the validation windows. Saved are the support vectors as arrays, no pickles.
    """

    title = "SVR"
    code = 1
    seeded = False
    options_class = SVROptions
    paper = MappingProxyType({"penalty": 1.0, "epsilon": 0.1})
    file = "svr.json"
    space: ClassVar[SearchSpace] = {"penalty": Span(0.03, 30.0, log=True), "epsilon": Span(0.003, 0.3, log=True)}

    def __init__(self, options: SVROptions | None = None) -> None:
        """Build an unfitted predictor; None for the default options."""
        super().__init__(options)
        self._rows: RowScaler | None = None
        self._target: RowScaler | None = None
        self._functions: list[KernelSum] = []

    @classmethod
    def reads_table(cls, settings: object) -> bool:
        """Return whether counts are read."""
        return cls.sees_feedback

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return that the data have no content or that scikit-learn is missing, else None."""
        return missing_library("sklearn") or (None if has_content(train.features) else "has no frames, sound or words")

    def fit_targets(self, train: Samples, dev: Samples | None, *, seed: int) -> int:
        """Fit a function per target; see `SVROptions` for the choice of C and epsilon."""
        used, raw = self.windows_used(train), self._raw(train)
        labels = train.target[used]
        self._rows, self._target = RowScaler.fit(raw[used]), RowScaler(np.nanmean(labels, 0), target_scale(labels))
        rows, target = self._standardised(raw, train)
        held = None if dev is None else self._standardised(self._raw(dev), dev)
        self._functions = []
        for column in range(target.shape[1]):
            known = used & ~np.isnan(target[:, column])
            weights = train.weights_of(known) * known.sum()
            grid = list(self._grid(held is not None))
            fitted = _fit(rows[known], target[known, column], weights, grid, self.options)
            errors = [0.0] * len(fitted)
            if held is not None and len(fitted) > 1 and (there := ~np.isnan(held[1][:, column])).any():
                share = dev.weights_of(there)
                errors = [share @ (made(held[0][there]) - held[1][there, column]) ** 2 for made in fitted]
            self._functions.append(fitted[int(np.argmin(errors))])
        return 0

    def parameter_count(self) -> int:
        """Return the number of support vectors' values and weights, with one constant per target."""
        return sum(function.points.size + function.weights.size + 1 for function in self._functions)

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T) float64, on the scale of the targets."""
        rows = self._rows.transform(self._raw(samples))
        standardised = np.column_stack([function(rows) for function in self._functions])
        return standardised * self._target.scale + self._target.mean

    def save(self, folder: Path) -> None:
        """Write `svr.json` and the arrays `svr.npz`."""
        self.write_description(folder, {"targets": len(self._functions)})
        arrays = {
            f"{name} {part}": getattr(getattr(self, f"_{name}"), part) for name in SCALES for part in ("mean", "scale")
        }
        for number, function in enumerate(self._functions):
            arrays |= {f"{part} {number}": getattr(function, part) for part in PARTS}
        np.savez(folder / "svr.npz", **arrays)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        targets = self.read_description(folder)["targets"]
        with np.load(folder / "svr.npz") as stored:
            self._rows, self._target = (RowScaler(stored[f"{name} mean"], stored[f"{name} scale"]) for name in SCALES)
            self._functions = [KernelSum(*(stored[f"{part} {number}"] for part in PARTS)) for number in range(targets)]

    def _raw(self, samples: Samples) -> np.ndarray:
        """Return x before it is standardised, (n, d); NaN where a modality is missing."""
        return content_rows(samples.items, samples.features)

    def _standardised(self, raw: np.ndarray, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        """Return x (n, d) and the targets (n, T), standardised."""
        return self._rows.transform(raw), (samples.target - self._target.mean) / self._target.scale

    def _grid(self, validated: bool) -> Iterator[tuple[float, float]]:
        """Return pairs of C and epsilon to fit."""
        options = self.options
        penalties = [options.penalty] if options.penalty is not None else PENALTIES if validated else [1.0]
        widths = [options.epsilon] if options.epsilon is not None else WIDTHS if validated else [0.1]
        return product(penalties, widths)


class SVRWithCounts(SVR):
    """The same with the counts of the window, which the papers' baseline does not see."""

    title = "SVR + observed counts"
    sees_feedback = True
    reads = (*SVR.reads, "whole_share")

    def _raw(self, samples: Samples) -> np.ndarray:
        if samples.table is None:
            raise ValueError("SVR with counts needs `samples.table`, given None")
        return np.column_stack(
            [content_rows(samples.items, samples.features), compress(columns_of(samples.table, ["counts"]).numeric)]
        )


SCALES = ("rows", "target")
PARTS = ("points", "weights", "constants")


def _fit(
    rows: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray,
    grid: Sequence[tuple[float, float]],
    options: SVROptions,
) -> list[KernelSum]:
    """Return a function per pair of C and epsilon, fitted to rows (n, d) and targets (n,) with weights of mean 1."""
    svm, spread = import_library("sklearn.svm"), rows.var()
    gamma = 1.0 / (rows.shape[1] * spread) if spread > 0 else 1.0
    made = []
    if len(rows) <= options.exact_rows:
        kernel = gaussian_kernel(rows, rows, gamma)  # one matrix product is much faster than libsvm's own
        for penalty, epsilon in grid:
            model = svm.SVR(kernel="precomputed", C=penalty, epsilon=epsilon).fit(kernel, target, sample_weight=weights)
            constants = np.array([gamma, model.intercept_[0]])
            made.append(KernelSum(rows[model.support_], model.dual_coef_[0], constants))
        return made
    nystroem = import_library("sklearn.kernel_approximation").Nystroem(
        gamma=gamma, n_components=options.landmarks, random_state=0
    )
    mapped = nystroem.fit_transform(rows)
    for penalty, epsilon in grid:
        model = svm.LinearSVR(C=penalty, epsilon=epsilon, random_state=0, max_iter=1_000)
        model.fit(mapped, target, sample_weight=weights)
        constants = np.array([gamma, model.intercept_[0]])
        made.append(KernelSum(nystroem.components_, nystroem.normalization_.T @ model.coef_, constants))
    return made
