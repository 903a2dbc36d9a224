"""Temporal-aware retrieval over two lists, each sorted by one similarity: the threshold algorithm.

R. Fagin, A. Lotem, M. Naor: Optimal aggregation algorithms for middleware (2003), section 4. The composite score
(`storage.bank.search`) increases with both similarities. So a member in neither list scores at most as high as the ends of
both lists combined. Once the best `size` members of the lists reach that score, they are the best of all (`settled`).

With exact lists, a settled answer is exact. With approximate lists (inverted lists, graphs), the members found are still
scored by their own vectors, but members that the lists miss are not found. The extremes of the min-max norm are then
approximate too: they come from the nearest member found, and from the one nearest to the opposite query.
"""

from dataclasses import dataclass

import numpy as np

from storage.bank.extremes import Extremes
from storage.bank.lists import Effort, SortedLists
from storage.bank.member_order import Bank
from storage.bank.neighbours import MODES, Neighbours, Queries
from storage.bank.ranking import RESOLUTION

BLOCK = 512  # queries at a time
TRUSTED = 8  # the first eighth of a list from compressed codes is assumed to be complete
EXTREME_DEPTH = 32  # nearest members read for the upper extreme alone
NEAR = 1e-5  # relative difference up to which two scores may be equal except for rounding


@dataclass
class Side:
    """One modality of a block of q queries: their lists of k members, and the norm.

    Attributes:
        positions: (q, k) position in the bank, -1 for a member that the query must not find.
        values: (q, k) similarities.
        end: (q,) upper bound of the similarity of members outside the list.
        known: (q,) bool, whether members that the query may see were found at both ends of the list.
        low: (q,) smallest similarity found.
        high: (q,) largest similarity found.
        noise: (q,) resolution of the similarities.
        has: (q,) bool, whether the query has the modality.
        given: Whether the extremes are those of more members than these, so that they stay as they are.
    """

    positions: np.ndarray
    values: np.ndarray
    end: np.ndarray
    known: np.ndarray
    low: np.ndarray
    high: np.ndarray
    noise: np.ndarray
    has: np.ndarray
    given: bool = False

    @property
    def present(self) -> np.ndarray:
        """(q,) bool: whether the query has the modality and sees a member that has it."""
        return self.has & (self.low <= self.high)

    def widen(self, values: np.ndarray, seen: np.ndarray) -> None:
        """Extend the extremes by further similarities (q, k), where `seen` (q, k) is True."""
        if self.given:
            return
        np.minimum(self.low, np.where(seen, values, np.inf).min(axis=1, initial=np.inf), out=self.low)
        np.maximum(self.high, np.where(seen, values, -np.inf).max(axis=1, initial=-np.inf), out=self.high)

    def norm(self, values: np.ndarray) -> np.ndarray:
        """Return the min-max norm of values (q, k), 0 if the extremes are equal or the modality is absent."""
        span = self.high - self.low
        varied = self.present & (span > self.noise)
        scaled = np.zeros_like(values)
        with np.errstate(over="ignore"):  # empty places at the end of a list hold the smallest float
            np.subtract(values, self.low[:, None], out=scaled, where=varied[:, None])
            np.divide(scaled, span[:, None], out=scaled, where=varied[:, None])
        return np.clip(scaled, 0, 1, out=scaled)


class ThresholdSearch:
    """The search over the lists of one bank.

    Attributes:
        bank: The members.
        content: Lists by content similarity.
        temporal: Lists by temporal similarity.
        effort: How thoroughly the lists are read.
        lengths: Lengths of the longest content and temporal vector.
    """

    def __init__(
        self,
        bank: Bank,
        content: SortedLists,
        temporal: SortedLists,
        *,
        effort: Effort,
        lengths: tuple[float, float] | None = None,
    ):
        """Prepare a search.

        Args:
            bank: The members.
            content: Lists by content similarity.
            temporal: Lists by temporal similarity.
            effort: How thoroughly the lists are read.
            lengths: Lengths of the longest content and temporal vector; by default all vectors are read once to find them.
        """
        self.bank, self.content, self.temporal, self.effort = bank, content, temporal, effort
        self.lengths = (_longest(bank.content), _longest(bank.temporal)) if lengths is None else tuple(lengths)

    @property
    def exact(self) -> bool:
        """Whether the lists are guaranteed to hold the nearest members."""
        return self.content.exact and self.temporal.exact

    def search(self, queries: Queries, *, size: int, extremes: Extremes | None = None) -> tuple[Neighbours, np.ndarray]:
        """Return the `size` best members for every query, and (n,) bool: whether the answer is settled.

        A settled answer is exact if the lists are exact.

        Args:
            queries: The queries.
            size: Number of neighbours per query.
            extremes: Extremes of the norm, if the bank is a part of the members; by default those that the lists show.
        """
        found = Neighbours.none(len(queries.own), size)
        settled = np.zeros(len(queries.own), bool)
        for start in range(0, len(queries.own), BLOCK):
            rows = slice(start, start + BLOCK)
            ends = None if extremes is None else extremes.take(rows)
            settled[rows] = self._block(queries.take(rows), found.take(rows), size, ends)
        return found, settled

    def measure(self, queries: Queries) -> tuple[Extremes, np.ndarray]:
        """Return the extremes that the lists show, and (n,) bool: whether members were found at both ends of all lists."""
        found = Extremes.none(np.full((2, len(queries.own)), np.inf, np.float32))
        known = np.zeros(len(queries.own), bool)
        for start in range(0, len(known), BLOCK):
            rows = slice(start, start + BLOCK)
            sides = self._read_both(queries.take(rows), depth=EXTREME_DEPTH)
            for name in ("low", "high"):
                getattr(found, name)[:, rows] = [getattr(side, name) for side in sides]
            found.noise[:, rows] = [np.where(side.has, side.noise, np.inf) for side in sides]
            known[rows] = sides[0].known & sides[1].known
        return found, known

    def _read_both(self, queries: Queries, *, depth: int) -> tuple[Side, Side]:
        return (
            self._read(self.content, queries, queries.content, queries.content_mask, self.lengths[0], depth),
            self._read(self.temporal, queries, queries.temporal, queries.temporal_mask, self.lengths[1], depth),
        )

    def _block(self, queries: Queries, found: Neighbours, size: int, extremes: Extremes | None) -> np.ndarray:
        """Write the answers of a block to `found`, whose arrays are views, and return which are settled."""
        content, temporal = self._read_both(queries, depth=self.effort.depth)
        if extremes is not None:
            for place, side in enumerate((content, temporal)):
                side.given = True
                side.low, side.high, side.noise = extremes.low[place], extremes.high[place], extremes.noise[place]
        of_content = self._other(self.temporal, temporal, queries.temporal, content, self.bank.temporal_mask)
        first = self._scores(content.positions, content.norm(content.values), temporal.norm(of_content))
        least = _largest(first, size)
        # Of the temporal list, only members whose score could still be among the best are looked up.
        possible = temporal.norm(temporal.values) ** 2 + content.norm(content.end[:, None]) ** 2
        temporal.positions = np.where(possible >= least[:, None], temporal.positions, -1)
        of_temporal = self._other(self.content, content, queries.content, temporal, self.bank.content_mask)
        # The look-ups may have extended the extremes, so the scores are computed again.
        first = self._scores(content.positions, content.norm(content.values), temporal.norm(of_content))
        second = self._scores(temporal.positions, content.norm(of_temporal), temporal.norm(temporal.values))
        positions = _best(first, content.positions, second, temporal.positions, size)
        reached = self._rank(queries, content, temporal, positions, found)
        beyond = content.norm(content.end[:, None]) ** 2 + temporal.norm(temporal.end[:, None]) ** 2
        # Strictly above: a member outside the lists with an equal score could come earlier in the bank.
        return content.known & temporal.known & (reached > beyond[:, 0] * (1 + NEAR))

    def _read(
        self,
        lists: SortedLists,
        queries: Queries,
        vectors: np.ndarray,
        has: np.ndarray,
        longest: float,
        depth: int,
    ) -> Side:
        values, positions = lists.nearest(vectors, depth=depth, probes=self.effort.probes)
        opposite, far = lists.nearest(-vectors, depth=self.effort.far_depth, probes=self.effort.far_probes)
        # Members outside the list are at most as similar as its end. If all members are listed, there are none outside.
        whole = lists.exact and values.shape[1] == len(lists.positions)
        end = np.full(len(vectors), -np.inf, np.float32)
        if not whole:
            place = values.shape[1] if lists.lossless else max(values.shape[1] // TRUSTED, 1)
            end = _largest(np.where(positions >= 0, values, np.inf), place)
        positions = np.where(self._visible(queries, positions) & has[:, None], positions, -1)
        far = np.where(self._visible(queries, far) & has[:, None], far, -1)
        known = ~has | whole | ((positions >= 0).any(axis=1) & (far >= 0).any(axis=1))
        noise = RESOLUTION * np.linalg.norm(vectors, axis=1) * longest
        unknown = np.full(len(vectors), np.inf, np.float32)
        side = Side(positions, values, end, known, unknown, -unknown, noise, has)
        side.widen(values, positions >= 0)
        side.widen(-opposite, far >= 0)
        return side

    def _visible(self, queries: Queries, positions: np.ndarray) -> np.ndarray:
        """Return (q, k) bool: whether the query may find the member.

        It may not find itself, a duplicate, or a member whose label was not yet known at the query's time.
        """
        group = queries.groups[:, None]
        visible = (positions >= 0) & (positions != queries.own[:, None])
        visible &= (group < 0) | (self.bank.groups[positions] != group)
        if queries.times is not None:
            visible &= self.bank.label_times[positions] <= queries.times[:, None]
        return visible

    def _other(self, lists: SortedLists, side: Side, vectors: np.ndarray, other: Side, mask: np.ndarray) -> np.ndarray:
        """Return the similarities, in the modality of `side`, of the members in the other modality's list.

        They are -infinity for a member or query without the modality.
        """
        positions = np.where(side.has[:, None] & mask[other.positions], other.positions, -1)
        values = lists.products(vectors, positions)
        side.widen(values, positions >= 0)
        return values

    def _scores(self, positions: np.ndarray, modal: np.ndarray, temporal: np.ndarray) -> np.ndarray:
        return np.where(positions >= 0, modal**2 + temporal**2, -1)

    def _rank(
        self, queries: Queries, content: Side, temporal: Side, positions: np.ndarray, found: Neighbours
    ) -> np.ndarray:
        """Score the candidates (q, k) pair by pair, so that equal vectors score equally, and write the best to `found`.

        Returns:
            (q,) the squared score of the last neighbour, -1 if there are fewer candidates than neighbours.
        """
        raw = []
        for side, lists, vectors, mask in (
            (content, self.content, queries.content, self.bank.content_mask),
            (temporal, self.temporal, queries.temporal, self.bank.temporal_mask),
        ):
            raw.append(lists.products(vectors, np.where(side.has[:, None] & mask[positions], positions, -1)))
        # In float64, so that equal scores are equal after rounding too, and rank in the order of the bank.
        square = self._scores(positions, *(side.norm(v.astype(float)) for side, v in zip((content, temporal), raw)))
        size = found.index.shape[1]
        order = np.lexsort((positions, -square), axis=1)[:, :size]
        square, positions = (np.take_along_axis(array, order, axis=1) for array in (square, positions))
        mask = positions >= 0
        for target, values in ((found.ss_modal, raw[0]), (found.ss_temp, raw[1])):
            values = np.take_along_axis(values, order, axis=1)
            np.copyto(target[:, : values.shape[1]], values, where=mask & np.isfinite(values))
        np.copyto(found.index[:, : positions.shape[1]], positions, where=mask)
        np.copyto(found.score[:, : square.shape[1]], np.sqrt(np.maximum(square, 0)), where=mask)
        found.mask[:, : mask.shape[1]] = mask
        for side, low, high in (
            (content, found.modal_min, found.modal_max),
            (temporal, found.temp_min, found.temp_max),
        ):
            np.copyto(low, side.low, where=side.present)
            np.copyto(high, side.high, where=side.present)
        found.mode[:] = MODES[content.present + 2 * temporal.present]
        return square[:, size - 1] if square.shape[1] >= size else np.full(len(square), -1.0)


def _largest(scores: np.ndarray, size: int) -> np.ndarray:
    """Return (q,) the `size`-th largest value of each row, -1 if there are fewer."""
    if scores.shape[1] < size:
        return np.full(len(scores), -1, np.float32)
    return np.partition(scores, scores.shape[1] - size, axis=1)[:, -size]


def _best(first: np.ndarray, positions: np.ndarray, second: np.ndarray, others: np.ndarray, size: int) -> np.ndarray:
    """Return the distinct positions (q, k) of the best `size` members of two lists, and of ties; -1 is padding."""
    scores, positions = np.concatenate([first, second], axis=1), np.concatenate([positions, others], axis=1)
    least = _largest(scores, 2 * size)  # a member may be in both lists
    row, column = np.nonzero((scores >= least[:, None] * (1 - NEAR)) & (positions >= 0))
    pairs = np.unique(np.stack([row, positions[row, column]], axis=1), axis=0)
    rank = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0])
    best = np.full((len(scores), rank.max(initial=0) + 1), -1, np.int64)
    best[pairs[:, 0], rank] = pairs[:, 1]
    return best


def _longest(vectors: np.ndarray) -> float:
    blocks = (vectors[start : start + 65_536] for start in range(0, len(vectors), 65_536))
    return max((float(np.sqrt(np.einsum("nd,nd->n", block, block).max())) for block in blocks), default=0.0)
