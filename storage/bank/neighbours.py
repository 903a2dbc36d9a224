"""What a search takes and what it gives."""

from dataclasses import dataclass

import numpy as np

MODES = np.array(["none", "content", "temporal", "composite"])


@dataclass(frozen=True)
class Queries:
    """n queries: vectors and masks as in the bank; own (n,): position in the bank or -1; groups (n,): -1 for none;
    times (n,) int64 ms or None."""

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    own: np.ndarray
    groups: np.ndarray
    times: np.ndarray | None

    def take(self, rows: slice | np.ndarray) -> "Queries":
        """The queries at `rows`."""
        return Queries(*(None if array is None else array[rows] for array in vars(self).values()))


@dataclass(frozen=True)
class Neighbours:
    """For n queries the S best members, the best first; where there are fewer eligible ones, `mask` is False.

    index (n, S) int64: position in the bank, -1 where masked; score, ss_modal, ss_temp (n, S) float32: the combined
    score and the raw similarities (NaN where the query or the member lacks the modality); modal_min, modal_max,
    temp_min, temp_max (n,) float32: the extremes used (NaN without); mask (n, S) bool; mode (n,) str: what the ranking
    rests on, 'composite', 'content', 'temporal' or 'none'.
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
        """The answers of these queries; of a slice, as views."""
        return Neighbours(*(array[rows] for array in vars(self).values()))

    def put(self, rows: np.ndarray, answers: "Neighbours") -> None:
        """Writes the answers of the queries at `rows`."""
        for name, array in vars(self).items():
            array[rows] = getattr(answers, name)

    @staticmethod
    def none(count: int, size: int) -> "Neighbours":
        """Nothing found yet for `count` queries."""

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
