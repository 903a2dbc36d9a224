"""The composite similarity and its ranking, as slow and as plain as can be: loops and float64."""

import math
from typing import NamedTuple

import numpy as np


class Found(NamedTuple):
    """members: best first; scores and raw similarities beside them; extremes: (low, high) of each modality or None."""

    members: list[int]
    scores: list[float]
    modal: list[float | None]
    temporal: list[float | None]
    extremes: tuple[tuple[float, float] | None, tuple[float, float] | None]
    mode: str


def _products(
    query: np.ndarray, has: bool, members: np.ndarray, mask: np.ndarray, eligible: list[int]
) -> dict[int, float]:
    if not has:
        return {}
    return {j: float((query.astype(np.float64) * members[j].astype(np.float64)).sum()) for j in eligible if mask[j]}


def _norms(products: dict[int, float]) -> dict[int, float]:
    low, high = min(products.values()), max(products.values())
    return {j: (value - low) / (high - low) if high > low else 0.0 for j, value in products.items()}


def search_one(bank, queries, i: int, *, size: int) -> Found:
    """bank: storage.bank.member_order.Bank; queries: storage.bank.search.Queries; i: which query."""
    eligible = []
    for j in range(len(bank.groups)):
        itself = j == queries.own[i]
        duplicate = queries.groups[i] >= 0 and bank.groups[j] == queries.groups[i]
        too_late = queries.times is not None and bank.label_times[j] > queries.times[i]
        if not (itself or duplicate or too_late):
            eligible.append(j)
    modal = _products(queries.content[i], queries.content_mask[i], bank.content, bank.content_mask, eligible)
    temporal = _products(queries.temporal[i], queries.temporal_mask[i], bank.temporal, bank.temporal_mask, eligible)
    mode = {(0, 0): "none", (1, 0): "content", (0, 1): "temporal", (1, 1): "composite"}[bool(modal), bool(temporal)]
    extremes = tuple((min(p.values()), max(p.values())) if p else None for p in (modal, temporal))
    if mode == "none":
        return Found([], [], [], [], extremes, mode)
    norms = [_norms(products) if products else {} for products in (modal, temporal)]
    square = {j: norms[0].get(j, 0.0) ** 2 + norms[1].get(j, 0.0) ** 2 for j in eligible}
    best = sorted(eligible, key=lambda j: (-square[j], j))[:size]
    return Found(
        best,
        [math.sqrt(square[j]) for j in best],
        [modal.get(j) for j in best],
        [temporal.get(j) for j in best],
        extremes,
        mode,
    )
