"""How good and how fast a bank's search is, measured on members that are sampled as queries."""

from dataclasses import dataclass

import numpy as np

from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries


@dataclass(frozen=True)
class SearchQuality:
    """recall: share of the exact search's members that were found; latency_ms: 95th percentile of single queries;
    queries_per_second: of all of them together; queries: how many there were."""

    recall: float
    latency_ms: float
    queries_per_second: float
    queries: int


def sampled(bank: Bank, count: int, *, seed: int) -> Queries:
    """`count` members with content as queries (all where there are fewer), which find neither themselves nor duplicates.

    Members without content are asked about only where nobody has any.
    """
    able = np.flatnonzero(bank.content_mask) if bank.content_mask.any() else np.arange(len(bank.groups))
    rows = np.sort(np.random.default_rng(seed).permutation(able)[:count])
    return Queries(
        content=np.ascontiguousarray(bank.content[rows]),
        temporal=np.ascontiguousarray(bank.temporal[rows]),
        content_mask=bank.content_mask[rows],
        temporal_mask=bank.temporal_mask[rows],
        own=rows,
        groups=bank.groups[rows],
        times=None,
    )


def recall(found: Neighbours, exact: Neighbours) -> float:
    """Share of the exact neighbours that were found, over all queries; 1 where there is nothing to find."""
    wanted = exact.mask.sum()
    hits = sum(
        len(np.intersect1d(*pair)) for pair in zip(found.index, np.where(exact.mask, exact.index, -2), strict=True)
    )
    return float(hits / wanted) if wanted else 1.0
