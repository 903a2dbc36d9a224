"""The extremes of the similarities that the min-max norm of the composite score uses (`storage.bank.search`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from storage.bank.neighbours import MODES


@dataclass(frozen=True)
class Extremes:
    """The extremes of n queries' similarities to the members that each may see. Row 0 is content, row 1 temporal.

    Attributes:
        low: (2, n) float32 smallest similarity; infinity if there is none.
        high: (2, n) float32 largest similarity; -infinity if there is none.
        noise: (2, n) float32 resolution of the similarities; infinity for a query without the modality.
    """

    low: np.ndarray
    high: np.ndarray
    noise: np.ndarray

    @staticmethod
    def none(noise: np.ndarray) -> "Extremes":
        """Return extremes of no similarity, to be filled.

        Args:
            noise: (2, n), see the class.
        """
        unknown = np.full(noise.shape, np.inf, np.float32)
        return Extremes(unknown, -unknown, noise)

    @staticmethod
    def merged(parts: Sequence["Extremes"]) -> "Extremes":
        """Return the extremes over all members from those over disjoint parts of them."""
        return Extremes(
            np.min([part.low for part in parts], axis=0),
            np.max([part.high for part in parts], axis=0),
            np.max([part.noise for part in parts], axis=0),
        )

    def take(self, rows: slice | np.ndarray) -> "Extremes":
        """Return the extremes of these queries."""
        return Extremes(*(array[:, rows] for array in vars(self).values()))

    def put(self, rows: np.ndarray, others: "Extremes") -> None:
        """Write the extremes of the queries at `rows`."""
        for name, array in vars(self).items():
            array[:, rows] = getattr(others, name)

    @property
    def present(self) -> np.ndarray:
        """(2, n) bool: whether the query has the modality and may see a member that has it."""
        return np.isfinite(self.noise) & (self.low <= self.high)

    @property
    def scale(self) -> np.ndarray:
        """(2, n) float32: 1 / (high - low), or 0 if the extremes are equal within float32's resolution."""
        span = self.high - self.low
        return np.divide(1, span, out=np.zeros_like(span), where=span > self.noise)

    @property
    def mode(self) -> np.ndarray:
        """(n,) str: the modalities that the ranking of each query uses."""
        return MODES[self.present[0] + 2 * self.present[1]]
