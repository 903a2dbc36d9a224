"""The queries and the results of a search."""

from dataclasses import dataclass

import numpy as np

MODES = np.array(["none", "content", "temporal", "composite"])


@dataclass(frozen=True)
class Queries:
    """n checked queries.

    Attributes:
        content: (n, dc) float32 content vectors.
        temporal: (n, dt) float32 temporal vectors.
        content_mask: (n,) bool, whether a query has a content vector.
        temporal_mask: (n,) bool, whether a query has a temporal vector.
        own: (n,) position of the query in the bank, or -1.
        groups: (n,) duplicate group, or -1.
        times: (n,) int64 unix ms, or None.
    """

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    own: np.ndarray
    groups: np.ndarray
    times: np.ndarray | None

    def take(self, rows: slice | np.ndarray) -> "Queries":
        """Return the queries at `rows`."""
        return Queries(*(None if array is None else array[rows] for array in vars(self).values()))


@dataclass(frozen=True)
class Neighbours:
    """The S best members for each of n queries, the best first.

    Attributes:
        index: (n, S) int64 position in the bank, -1 where masked.
        score: (n, S) float32 combined score (M3TR eq. 3), NaN where masked.
        ss_modal: (n, S) float32 content similarity, NaN if the query or the member lacks the modality.
        ss_temp: (n, S) float32 temporal similarity, likewise.
        modal_min: (n,) float32 smallest content similarity used by the min-max norm, NaN if there is none.
        modal_max: (n,) float32 largest one.
        temp_min: (n,) float32 smallest temporal similarity used by the min-max norm, NaN if there is none.
        temp_max: (n,) float32 largest one.
        mask: (n, S) bool, False if a query has fewer than S eligible members.
        mode: (n,) str, the modalities that the ranking uses: 'composite', 'content', 'temporal' or 'none'.
    """

    index: np.ndarray
    score: np.ndarray
    ss_modal: np.ndarray
    ss_temp: np.ndarray
    modal_min: np.ndarray
    modal_max: np.ndarray
    temp_min: np.ndarray
    temp_max: np.ndarray
    mask: np.ndarray
    mode: np.ndarray

    def take(self, rows: slice | np.ndarray) -> "Neighbours":
        """Return the results of these queries; views if `rows` is a slice."""
        return Neighbours(*(array[rows] for array in vars(self).values()))

    def put(self, rows: np.ndarray, answers: "Neighbours") -> None:
        """Write the results of the queries at `rows`."""
        for name, array in vars(self).items():
            array[rows] = getattr(answers, name)

    @staticmethod
    def none(count: int, size: int) -> "Neighbours":
        """Return an empty result for `count` queries, to be filled."""

        def unknown(*shape: int) -> np.ndarray:
            return np.full(shape, np.nan, np.float32)

        return Neighbours(
            index=np.full((count, size), -1, np.int64),
            score=unknown(count, size),
            ss_modal=unknown(count, size),
            ss_temp=unknown(count, size),
            modal_min=unknown(count),
            modal_max=unknown(count),
            temp_min=unknown(count),
            temp_max=unknown(count),
            mask=np.zeros((count, size), bool),
            mode=np.full(count, "none", MODES.dtype),
        )
