"""TMALL (Chen et al. 2016): labels spread over graphs of similar videos, whose weights are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.sparse import csr_array

from models.predictors.column_groups import columns_of
from models.predictors.content_components import MODALITIES, has_content, mean_rows
from models.predictors.graph_regression import GraphRegression, GraphWeights
from models.predictors.installed_extra import missing_library
from models.predictors.ranges import COUNT, POSITIVE, check_ranges
from models.predictors.regression_predictor import RegressionPredictor, target_scale
from models.predictors.row_scaler import RowScaler, compress
from models.predictors.samples import Bank, Samples
from models.predictors.search_space import SearchSpace, Span
from models.predictors.similarity_graph import scaled_laplacian

GRID = (0.1, 1.0, 10.0)
SOCIAL = "social"


@dataclass(frozen=True)
class TMALLOptions:
    """Hyper-parameters of TMALL.

    The Laplacians are divided by their traces, so the terms shrink as videos are added. The three weights are therefore
    multiplied by the number of videos n (`agreement` by its square), and one value serves sets of any size. None chooses
    from 0.1, 1 and 10 by the validation items, or takes 1 without them.

    Attributes:
        agreement: lambda / n^2, how closely the combined graph follows each modality's own.
        smoothness: mu / n, how closely a forecast follows those of similar videos.
        penalty: theta / n, of the squared weights of the modalities.
        neighbours: Neighbours per video in a modality's graph.

    Raises:
        ValueError: A value is outside its range; the message states the range.
    """

    agreement: float | None = None
    smoothness: float | None = None
    penalty: float | None = None
    neighbours: int = 50

    def __post_init__(self) -> None:
        """Check the values."""
        check_ranges(self, agreement=POSITIVE, smoothness=POSITIVE, penalty=POSITIVE, neighbours=COUNT)


class TMALL(RegressionPredictor):
    """Transductive regression: a forecast depends on the features of all videos that are forecast with it.

    Modalities are the mean frame, the mean sound, the mean word, and the author's statistics and history ("social"), as far
    as the data have them. A forecast builds the graphs again, with the training videos and the videos to forecast, and
    minimises the objective on them. So a video's forecast changes slightly with its company, and a model that was loaded
    needs the training videos' vectors: they are saved with it.
    """

    title = "TMALL (transductive)"
    code = 1
    seeded = False
    forecasts_alone = False
    options_class = TMALLOptions
    file = "tmall.json"
    space: ClassVar[SearchSpace] = {
        **dict.fromkeys(("agreement", "smoothness", "penalty"), Span(0.01, 100.0, log=True)),
        "neighbours": Span(5, 100, log=True),
    }

    def __init__(self, options: TMALLOptions | None = None) -> None:
        """Build an unfitted predictor; None for the default options."""
        super().__init__(options)
        self._items = np.empty(0, str)
        self._target = np.empty((0, 0))
        self._vectors: dict[str, np.ndarray] = {}
        self._weights: list[GraphWeights] = []

    def obstacle(self, train: Samples, bank: Bank) -> str | None:
        """Return that the data have no content or that scikit-learn is missing, else None."""
        return missing_library("sklearn") or (None if has_content(train.features) else "has no frames, sound or words")

    def fit_targets(self, train: Samples, dev: Samples | None, *, seed: int) -> int:
        """Keep the training videos, and choose the weights of the objective for each target on the validation items."""
        used = train.first_windows
        self._items, self._target = train.items[used], train.target[used]
        vectors = vectors_of(train, used)
        self._vectors = {name: rows for name, rows in vectors.items() if not np.isnan(rows).all()}
        self._weights = [
            GraphWeights(**{name: value or 1.0 for name, value in self._options().items()})
        ] * train.target.shape[1]
        if dev is None or len(candidates := self._candidates()) == 1:
            return 0
        graph = self._graph(dev)
        for column in range(train.target.shape[1]):
            known = ~np.isnan(dev.target[:, column])
            if known.any():
                share, label = dev.weights_of(known), dev.target[known, column]
                errors = [share @ (self._solve(graph, column, use)[known] - label) ** 2 for use in candidates]
                self._weights[column] = candidates[int(np.argmin(errors))]
        return 0

    def parameter_count(self) -> int:
        """Return the number of values of the training videos' vectors, which a forecast needs."""
        return sum(rows.size for rows in self._vectors.values())

    def predict(self, samples: Samples, bank: Bank, *, device: torch.device | str = "cpu") -> np.ndarray:
        """Return forecasts (n, T) float64; they depend on all samples that are given together."""
        graph = self._graph(samples)
        return np.column_stack([self._solve(graph, column, use) for column, use in enumerate(self._weights)])

    def save(self, folder: Path) -> None:
        """Write `tmall.json` and the training videos' vectors and targets, `tmall.npz`."""
        self.write_description(folder, {"weights": [asdict(use) for use in self._weights]})
        vectors = {f"vectors {name}": rows for name, rows in self._vectors.items()}
        np.savez(folder / "tmall.npz", items=self._items, target=self._target, **vectors)

    def load(self, folder: Path) -> None:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: The folder holds no model.
            ValueError: The model has another format.
        """
        self._weights = [GraphWeights(**use) for use in self.read_description(folder)["weights"]]
        with np.load(folder / "tmall.npz") as stored:
            self._items, self._target = stored["items"], stored["target"]
            self._vectors = {key.split()[1]: stored[key] for key in stored if key.startswith("vectors ")}

    def _options(self) -> dict[str, float | None]:
        return {name: getattr(self.options, name) for name in ("agreement", "smoothness", "penalty")}

    def _candidates(self) -> list[GraphWeights]:
        """Return the weights to choose from."""
        values = [GRID if value is None else (value,) for value in self._options().values()]
        return [GraphWeights(*chosen) for chosen in product(*values)]

    def _graph(self, samples: Samples) -> Graph:
        """Return the graphs of the training videos and of the samples' videos."""
        new = samples.first_windows
        new = new[~np.isin(samples.items[new], self._items)]
        items = np.concatenate([self._items, samples.items[new]])
        laplacians = []
        for name, rows in vectors_of(samples, new).items():
            if name in self._vectors:
                scaler = RowScaler.fit(self._vectors[name])
                both = np.concatenate([self._vectors[name], rows])
                missing = np.isnan(both).all(1)
                laplacians.append(
                    scaled_laplacian(
                        np.where(missing[:, None], np.nan, scaler.transform(both)), neighbours=self.options.neighbours
                    )
                )
        order = np.argsort(items, kind="stable")
        place = order[np.searchsorted(items, samples.items, sorter=order)]
        return Graph([made for made in laplacians if made is not None], place)

    def _solve(self, graph: Graph, column: int, use: GraphWeights) -> np.ndarray:
        """Return forecasts of one target for the samples that the graph was built for, (n,)."""
        known = self._target[:, column]
        mean, scale = np.nanmean(known), target_scale(known[:, None])[0]
        nodes = graph.laplacians[0].shape[0]
        label = np.full(nodes, np.nan)
        label[: len(known)] = (known - mean) / scale
        weights = GraphWeights(use.agreement * nodes**2, use.smoothness * nodes, use.penalty * nodes)
        forecast, _ = GraphRegression(graph.laplacians, ~np.isnan(label), label, weights).solve()
        return forecast[graph.place] * scale + mean


@dataclass(frozen=True)
class Graph:
    """Graphs of the training videos followed by further videos.

    Attributes:
        laplacians: One per modality that at least two videos have.
        place: (n,) node of each sample.
    """

    laplacians: list[csr_array]
    place: np.ndarray


def vectors_of(samples: Samples, windows: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return a vector per modality and window, (m, d) float32; NaN where a video lacks the modality."""
    features = samples.features.take(windows)
    vectors = {name: mean_rows(getattr(features, name), dtype=np.float32) for name in MODALITIES}
    if samples.table is not None:
        social = compress(columns_of(samples.table, ["user"]).numeric[windows]).astype(np.float32)
        if social.shape[1]:
            vectors[SOCIAL] = social
    return vectors
