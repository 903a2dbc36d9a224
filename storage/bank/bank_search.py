"""The search over one set of members: over sorted lists where there are some and they serve, else exactly."""

from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np

from storage.bank.extremes import Extremes
from storage.bank.lists import EXACT_UP_TO
from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries
from storage.bank.search import measure, search
from storage.bank.threshold import ThresholdSearch


@dataclass(frozen=True)
class BankSearch:
    """The search over the members of a bank, or over a part of them.

    Attributes:
        bank: The members.
        lists: Their sorted lists; None if the search is exact.
        exact_up_to: Largest number of members that are searched exactly.
        owners: FAISS indexes whose memory the members' vectors are in; it is valid as long as they are.
    """

    bank: Bank
    lists: ThresholdSearch | None
    exact_up_to: int = EXACT_UP_TO
    owners: tuple[faiss.Index, ...] = ()

    def answer(self, queries: Queries, *, size: int, extremes: Extremes | None = None) -> Neighbours:
        """Return the `size` most similar members of each query.

        Args:
            queries: The queries.
            size: Number of neighbours per query.
            extremes: Extremes of the norm, if the bank is a part of the members; by default those of these members.
        """
        if self.lists is None or size < 1:
            return search(self.bank, queries, size=size, extremes=extremes)
        found = Neighbours.none(len(queries.own), size)
        many = self._sees_many(queries.times, len(queries.own))
        rows = np.flatnonzero(many)
        ends = None if extremes is None else extremes.take(rows)
        answers, settled = self.lists.search(queries.take(rows), size=size, extremes=ends)
        found.put(rows, answers)
        # If a query has fewer than `size` answers, its lists were too short.
        done = settled if self.lists.exact else answers.mask.all(axis=1)
        rest = np.concatenate([np.flatnonzero(~many), rows[~done]])
        if len(rest):
            ends = None if extremes is None else extremes.take(rest)
            found.put(rest, search(self.bank, queries.take(rest), size=size, extremes=ends))
        return found

    def measure(self, queries: Queries) -> Extremes:
        """Return the extremes of the queries' similarities: approximate ones if the lists are."""
        if self.lists is None:
            return measure(self.bank, queries)
        found, known = self.lists.measure(queries)
        rest = np.flatnonzero(~(known & self._sees_many(queries.times, len(queries.own))))
        if len(rest):
            found.put(rest, measure(self.bank, queries.take(rest)))
        return found

    def _sees_many(self, times: np.ndarray | None, count: int) -> np.ndarray:
        """Return (n,) bool: whether a query may see enough members for the approximate search.

        The lists contain all members, so an early query finds few in them whose label was known at its time. Searching
        few members exactly is fast.
        """
        if times is None:
            return np.ones(count, bool)
        members = len(self.bank.groups)
        visible = np.searchsorted(self._label_times, times, side="right")
        return visible >= max(members / 2, min(self.exact_up_to, members))

    @cached_property
    def _label_times(self) -> np.ndarray:
        return np.sort(self.bank.label_times)
