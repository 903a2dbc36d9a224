"""The features of the classical likelihood at given decay rates, for one batch of sequences."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from models.events import EventBatch
from models.hawkes.compiled import chunks_of, share_rows
from models.hawkes.compiled_states import exposures, own_states
from models.hawkes.history import counted_events, first_counted, window_bounds


@dataclass
class Features:
    """The features of a batch's likelihood at given decay rates.

    Attributes:
        rows: For each type, the rows of its events in `every` and `lags`.
        every: (n, k r), the decayed sums that excite each event's own type, just before the event.
        lags: (n, k r), the sums of the same terms, each times its age; (n, 0) if they are not needed.
        exposure: (c, k r), the share of its offspring that each event had time for, summed by type; c is 1 if the rates
            are common to all pairs, else k.
        exposure_lag: (c, k r), the derivative of `exposure` by the rate.
        duration: Total length of the windows.
    """

    rows: list[np.ndarray]
    every: np.ndarray
    lags: np.ndarray
    exposure: np.ndarray
    exposure_lag: np.ndarray
    duration: float

    def states(self, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of `every` and `lags` that belong to events of type `kind`."""
        return self.every[self.rows[kind]], self.lags[self.rows[kind]]


def features_of(
    batch: EventBatch, window: str, wanted: np.ndarray, decays: int, rate: np.ndarray, *, with_lags: bool = True
) -> Features:
    """Compute the features of a batch.

    Args:
        batch: b sequences.
        window: "observation" or "events".
        wanted: (k,) bool, the types whose events get features.
        decays: Exponentials per pair.
        rate: (1, r) if common to all pairs, else (k, k r).
        with_lags: Whether to compute `lags`; they are needed only if the rates are fitted.

    Returns:
        The features.
    """
    start, end = window_bounds(batch, window)
    arrays = [part.contiguous().numpy() for part in (batch.times, batch.types, batch.lengths)]
    counted = counted_events(batch, window).numpy() & wanted[arrays[1]]
    ends = np.cumsum(counted.sum(1))
    offsets, total = np.concatenate([[0], ends])[:-1], int(ends[-1]) if len(ends) else 0
    width = len(wanted) * decays
    every, lags = np.empty((total, width)), np.empty((total, width if with_lags else 0))
    until, scored = end.contiguous().numpy(), wanted if len(rate) > 1 else np.ones(1, dtype=bool)
    done = [np.zeros((chunks_of(len(batch)), len(rate), width)) for _ in range(2)]

    def work(part: slice) -> None:
        events = [array[part] for array in arrays]
        own_states(*events, first_counted(window), offsets[part], wanted, decays, rate, every, lags)
        into = [sums[chunks_of(part.start) :] for sums in done]
        exposures(*events, until[part], decays, scored, rate, *into)

    share_rows(len(batch), work)
    owners = arrays[1][counted]
    order = np.argsort(owners, kind="stable")
    borders = np.searchsorted(owners[order], np.arange(len(wanted) + 1))
    rows = [order[low:high] for low, high in itertools.pairwise(borders)]
    return Features(rows, every, lags, done[0].sum(0), done[1].sum(0), float((end - start).sum()))
