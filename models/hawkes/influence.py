"""The influence graph: the branching matrix as a list of influences and as a figure (M3TR appendix C.8.2)."""

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
    """The influence of one type on another.

    Attributes:
        source: Name of the exciting type.
        target: Name of the excited type.
        offspring: Expected number of events of type `target` that one event of type `source` causes directly.
    """

    source: str
    target: str
    offspring: float


@dataclass(frozen=True)
class InfluenceGraph:
    """The influences between all types of a process.

    Attributes:
        names: (k,), names of the types.
        matrix: (k, k), expected direct offspring, indexed [target, source].
        branching_ratio: Spectral radius of the matrix; below 1 the excitation dies out.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    branching_ratio: float

    @property
    def influences(self) -> list[Influence]:
        """All influences that are not zero, strongest first."""
        targets, sources = np.nonzero(self.matrix)
        influences = [
            Influence(self.names[m], self.names[k], float(self.matrix[k, m])) for k, m in zip(targets, sources)
        ]
        return sorted(influences, key=lambda influence: -influence.offspring)


def influence_graph(process: PointProcess, *, names: Sequence[str] | None = None) -> InfluenceGraph:
    """Return the influence graph of a fitted process.

    Args:
        process: The process. For a MambaHawkesProcess the graph is that of its classical part; mufm has none, so all
            influences are 0.
        names: (k,), names of the types; by default their numbers.

    Returns:
        The graph.

    Raises:
        ValueError: If there is not one name per type.

    Example:
        >>> from models.hawkes import ExponentialHawkes, influence_graph
        >>> graph = influence_graph(ExponentialHawkes(2), names=["like", "share"])
        >>> graph.influences[0]
        Influence(source='like', target='like', offspring=0.05)
        >>> round(graph.branching_ratio, 3)
        0.1
    """
    names = tuple(str(kind) for kind in range(process.num_types)) if names is None else tuple(names)
    if len(names) != process.num_types:
        raise ValueError(f"names must have one name per type; given {len(names)} names for {process.num_types} types")
    return InfluenceGraph(names, process.branching_matrix().detach().cpu().numpy(), process.branching_ratio())


def draw(graph: InfluenceGraph) -> Figure:
    """Draw the matrix as a heat map. It needs matplotlib.

    Args:
        graph: The influence graph.

    Returns:
        A figure. Columns are exciting types and rows excited types; the colour is the expected direct offspring, and
        influences of 0 are left blank. With at most 12 types the cells also show the numbers.
    """
    from matplotlib.figure import Figure  # imported here because the processes need no plotting library

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
            axes.text(source, target, f"{value:.2f}", ha="center", va="center", color="w" if value > middle else "0.1")
    figure.colorbar(image, label="expected direct offspring")
    return figure
