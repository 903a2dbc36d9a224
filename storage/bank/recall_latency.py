"""The recall and latency of a bank's search, measured with sampled members as queries."""

from dataclasses import dataclass

import numpy as np

from storage.bank.member_order import Bank
from storage.bank.neighbours import Neighbours, Queries


@dataclass(frozen=True)
class SearchQuality:
    """The quality and speed of a bank's search.

    Attributes:
        recall: Share of the exact neighbours that were found.
        latency_ms: 95th percentile of the duration of single queries.
        queries_per_second: Throughput if all queries are searched in one call.
        queries: Number of queries.
    """

    recall: float
    latency_ms: float
    queries_per_second: float
    queries: int


def sampled(bank: Bank, count: int, *, seed: int) -> Queries:
    """Return up to `count` sampled members as queries. They find neither themselves nor their duplicates.

    Only members with content are sampled, unless no member has content.
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
    """Return the share of the exact neighbours that were found, over all queries; 1 if there are no neighbours."""
    wanted = exact.mask.sum()
    hits = sum(
        len(np.intersect1d(*pair)) for pair in zip(found.index, np.where(exact.mask, exact.index, -2), strict=True)
    )
    return float(hits / wanted) if wanted else 1.0
