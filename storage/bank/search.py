"""Temporal-aware retrieval, exact (M3TR section 3.3, eq. 3).

    SS(i, j) = sqrt(norm(R_i . R_j)^2 + norm(X_i . X_j)^2)

R: content (retrieval) vectors, X: mean-pooled temporal embeddings; norm is min-max over the bank, per query and
modality. What the paper leaves open: the extremes run over the members that the query may see and that have the
modality; equal extremes give 0; a member without a modality has norm 0 there, and a query without one is ranked by the
other alone; ties go to the member that comes first in the bank.
"""

from dataclasses import dataclass

import numpy as np

BLOCK = 256
MODES = np.array(["none", "content", "temporal", "composite"])


@dataclass(frozen=True)
class Bank:
    """N members: content (N, dc), temporal (N, dt) float32, their masks (N,) bool, groups (N,), label_times (N,) or None."""

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    groups: np.ndarray
    label_times: np.ndarray | None


@dataclass(frozen=True)
class Queries:
    """n queries: as the bank, and `own` (n,): each one's position in the bank or -1; groups -1: none; times (n,) or None."""

    content: np.ndarray
    temporal: np.ndarray
    content_mask: np.ndarray
    temporal_mask: np.ndarray
    own: np.ndarray
    groups: np.ndarray
    times: np.ndarray | None


@dataclass(frozen=True)
class Neighbours:
    """For n queries the S best members, the best first; where there are fewer eligible ones, `mask` is False.

    index (n, S) int64: position in the bank, -1 where masked; score, ss_modal, ss_temp (n, S) float32: the combined score
    and the raw similarities (NaN where the query or the member lacks the modality); modal_min, modal_max, temp_min,
    temp_max (n,) float32: the extremes used (NaN without); mask (n, S) bool; mode (n,) str: what the ranking rests on,
    'composite', 'content', 'temporal' or 'none'.
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


def _norm(similarity: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low = np.min(similarity, axis=1, where=valid, initial=np.inf)
    high = np.max(similarity, axis=1, where=valid, initial=-np.inf)
    span = high - low
    scale = np.divide(1, span, out=np.zeros_like(span), where=(span > 0) & np.isfinite(span))
    low, high = np.where(np.isfinite(low), low, np.nan), np.where(np.isfinite(high), high, np.nan)
    normed = np.where(valid, (similarity - np.nan_to_num(low)[:, None]) * scale[:, None], 0)
    return normed, low, high


def search(bank: Bank, queries: Queries, *, size: int) -> Neighbours:
    """The `size` best members for every query. Raises ValueError for size < 1."""
    if size < 1:
        raise ValueError(f"size is {size}, must be at least 1")
    count, members = len(queries.own), len(bank.groups)
    found = Neighbours(
        index=np.full((count, size), -1, np.int64),
        score=np.full((count, size), np.nan, np.float32),
        ss_modal=np.full((count, size), np.nan, np.float32),
        ss_temp=np.full((count, size), np.nan, np.float32),
        modal_min=np.full(count, np.nan, np.float32),
        modal_max=np.full(count, np.nan, np.float32),
        temp_min=np.full(count, np.nan, np.float32),
        temp_max=np.full(count, np.nan, np.float32),
        mask=np.zeros((count, size), bool),
        mode=np.full(count, "none", MODES.dtype),
    )
    take = min(size, members)
    for start in range(0, count, BLOCK):
        block = slice(start, min(start + BLOCK, count))
        eligible = np.arange(members)[None] != queries.own[block, None]
        groups = queries.groups[block, None]
        eligible &= (bank.groups[None] != groups) | (groups < 0)
        if queries.times is not None:
            eligible &= bank.label_times[None] <= queries.times[block, None]
        modal = queries.content[block] @ bank.content.T
        temp = queries.temporal[block] @ bank.temporal.T
        with_content = eligible & bank.content_mask & queries.content_mask[block, None]
        with_temporal = eligible & bank.temporal_mask & queries.temporal_mask[block, None]
        modal_norm, found.modal_min[block], found.modal_max[block] = _norm(modal, with_content)
        temp_norm, found.temp_min[block], found.temp_max[block] = _norm(temp, with_temporal)
        has = with_content.any(axis=1) + 2 * with_temporal.any(axis=1)
        found.mode[block] = MODES[has]
        score = np.where(eligible & (has > 0)[:, None], np.sqrt(modal_norm**2 + temp_norm**2), -1)
        order = np.argsort(-score, axis=1, kind="stable")[:, :take]
        best = np.take_along_axis(score, order, axis=1)
        ok = best >= 0
        found.mask[block, :take] = ok
        found.index[block, :take] = np.where(ok, order, -1)
        found.score[block, :take] = np.where(ok, best, np.nan)
        for raw, valid, out in ((modal, with_content, found.ss_modal), (temp, with_temporal, found.ss_temp)):
            there = ok & np.take_along_axis(valid, order, axis=1)
            out[block, :take] = np.where(there, np.take_along_axis(raw, order, axis=1), np.nan)
    return found
