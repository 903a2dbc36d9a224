"""Who excites whom: the branching matrix as a graph, in numbers and as a picture (M3TR appendix C.8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.hawkes.process import PointProcess

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Influence:
    """One event of type `source` causes `offspring` direct events of type `target`, on average."""

    source: str
    target: str
    offspring: float


@dataclass(frozen=True)
class InfluenceGraph:
    """names (k,); matrix (k, k), [target, source] expected direct offspring; branching_ratio, its spectral radius."""

    names: tuple[str, ...]
    matrix: np.ndarray
    branching_ratio: float

    @property
    def influences(self) -> list[Influence]:
        """Every influence that is not zero, the strongest first."""
        targets, sources = np.nonzero(self.matrix)
        found = [Influence(self.names[m], self.names[k], float(self.matrix[k, m])) for k, m in zip(targets, sources)]
        return sorted(found, key=lambda influence: -influence.offspring)


def influence_graph(process: PointProcess, *, names: Sequence[str] | None = None) -> InfluenceGraph:
    """The graph of a fitted process; its types are called by their numbers unless `names` (k,) are given."""
    names = tuple(str(kind) for kind in range(process.num_types)) if names is None else tuple(names)
    if len(names) != process.num_types:
        raise ValueError(f"{len(names)} names for {process.num_types} types")
    return InfluenceGraph(names, process.branching_matrix().detach().cpu().numpy(), process.branching_ratio())


def draw(graph: InfluenceGraph) -> Figure:
    """A figure of the matrix: a cell's colour is the offspring of one event of its column's type of its row's type."""
    from matplotlib.figure import Figure  # the process itself needs no plotting library

    k = len(graph.names)
    side = max(3.5, 0.35 * k + 2)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    shown = np.ma.masked_equal(graph.matrix, 0.0)
    image = axes.imshow(shown, cmap="viridis_r", vmin=0.0)
    axes.set_xticks(range(k), graph.names, rotation=90 if k > 6 else 0)
    axes.set_yticks(range(k), graph.names)
    axes.set_xlabel("an event of this type")
    axes.set_ylabel("causes events of this type")
    axes.set_title(f"branching ratio {graph.branching_ratio:.2f}")
    if k <= 12:
        middle = float(graph.matrix.max()) / 2
        for target, source in zip(*np.nonzero(graph.matrix)):
            value = graph.matrix[target, source]
            axes.text(source, target, f"{value:.2f}", ha="center", va="center", color="w" if value > middle else "k")
    figure.colorbar(image, label="expected direct offspring")
    return figure
