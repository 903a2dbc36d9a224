"""Attentive pooling against its definition."""

from __future__ import annotations

import torch

from models.predictors.pooling import AttentivePooling


def test_is_the_weighted_mean_of_the_transformed_rows():
    torch.manual_seed(0)
    pooling = AttentivePooling(3).double()
    with torch.no_grad():
        pooling.context.copy_(torch.randn(3))
    rows, mask = torch.randn(4, 5, 6).double(), torch.rand(4, 5) < 0.6
    mask[0] = False
    transform, bias = torch.randn(6, 3).double(), torch.randn(3).double()
    pooled = pooling(rows, mask, transform, bias)
    for video in range(4):
        h = rows[video][mask[video]] @ transform + bias
        weights = torch.softmax(h @ pooling.context / 3**0.5, 0)
        torch.testing.assert_close(pooled[video], (weights[:, None] * h).sum(0))
    assert torch.count_nonzero(pooled[0]) == 0


def test_starts_as_the_mean():
    rows = torch.randn(2, 4, 3)
    pooled = AttentivePooling(3)(rows, torch.ones(2, 4).bool(), torch.eye(3), torch.zeros(3))
    torch.testing.assert_close(pooled, rows.mean(1))
