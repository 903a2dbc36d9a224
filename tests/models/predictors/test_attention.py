"""Bipolar attention against M3TR's equations 29-34 in plain loops, as printed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.predictors.attention import BipolarAttention


def softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return [weight / sum(weights) for weight in weights]


def attend(x: np.ndarray, y: np.ndarray, w_q, w_k, w_v, factor: float) -> np.ndarray:
    """ATT(X W^Q, Y W^K, Y W^V) = Softmax(factor QK' / sqrt(d)) V, row by row; no keys: zeros."""
    query, key, value = x @ w_q, y @ w_k, y @ w_v
    out = np.zeros((len(x), x.shape[1]))
    for i in range(len(x)):
        if not len(y):
            continue
        scores = [factor * float(query[i] @ key[j]) / math.sqrt(x.shape[1]) for j in range(len(y))]
        for j, weight in enumerate(softmax(scores)):
            out[i] += weight * value[j]
    return out


def enrich(x: np.ndarray, y: np.ndarray, attention: BipolarAttention, w_1: torch.Tensor, alpha: float) -> np.ndarray:
    """ReLU(X + (P + N) W_1), eq. 29, 31 and 34 (30, 32 and 33 the other way round)."""
    q, k, v = (w.detach().double().numpy() for w in (attention.query, attention.key, attention.value))
    positive = attend(x, y, q[0], k[0], v[0], alpha)
    negative = attend(x, y, q[1], k[1], v[1], -(1 - alpha))
    both = np.concatenate([positive, negative], axis=1)  # (n, 2d)
    return np.maximum(x + both @ w_1.detach().double().reshape(-1, x.shape[1]).numpy(), 0)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 5), m=st.integers(1, 6), d=st.integers(1, 7), alpha=st.floats(0, 1), seed=st.integers(0, 2**31),
    data=st.data(),
)  # fmt: skip
def test_is_the_papers_attention(n, m, d, alpha, seed, data):
    torch.manual_seed(seed)
    attention = BipolarAttention(d, alpha=alpha).double()
    x, y = torch.randn(3, n, d).double(), torch.randn(3, m, d).double()
    booleans = st.lists(st.booleans(), min_size=3 * (n + m), max_size=3 * (n + m))
    flags = torch.tensor(data.draw(booleans))
    x_mask, y_mask = flags[: 3 * n].view(3, n), flags[3 * n :].view(3, m)
    x_new, y_new = attention(x, y, x_mask, y_mask)
    for video in range(3):
        own, other = x[video].numpy(), y[video].numpy()
        expected = enrich(own, other[y_mask[video].numpy()], attention, attention.integrate_x, alpha)
        np.testing.assert_allclose(x_new[video].detach(), expected, atol=1e-9)
        expected = enrich(other, own[x_mask[video].numpy()], attention, attention.integrate_y, alpha)
        np.testing.assert_allclose(y_new[video].detach(), expected, atol=1e-9)


def test_positive_attention_looks_at_what_agrees_and_negative_at_what_does_not():
    attention = BipolarAttention(2, alpha=0.5)
    with torch.no_grad():
        for weight in (attention.query, attention.key, attention.value):
            weight.copy_(torch.eye(2).expand(2, 2, 2))
        attention.integrate_x[0] = torch.eye(2)
        attention.integrate_x[1] = 0  # what is left is x + P
    x, y, there = torch.tensor([[[30.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.ones(1, 1).bool()
    like, _ = attention(x, y, there, torch.ones(1, 2).bool())
    torch.testing.assert_close(like - x, torch.tensor([[[1.0, 0.0]]]), atol=1e-3, rtol=0)
    with torch.no_grad():
        attention.integrate_x.copy_(attention.integrate_x.flip(0))  # x + N
    unlike, _ = attention(x, y, there, torch.ones(1, 2).bool())
    torch.testing.assert_close(unlike - x, torch.tensor([[[0.0, 1.0]]]), atol=1e-3, rtol=0)


def test_videos_without_keys_get_nothing_and_send_no_gradient():
    torch.manual_seed(0)
    attention = BipolarAttention(4)
    x, y = torch.randn(2, 3, 4), torch.randn(2, 5, 4, requires_grad=True)
    x_new, _ = attention(x, y, torch.ones(2, 3).bool(), torch.zeros(2, 5).bool())
    torch.testing.assert_close(x_new, x.relu())
    x_new.sum().backward()
    assert torch.count_nonzero(y.grad) == 0
    assert all(torch.count_nonzero(weight.grad) == 0 for weight in (attention.query, attention.value))


@pytest.mark.parametrize("kept", ["positive", "negative"])
def test_a_sign_left_out_is_zeros(kept):
    torch.manual_seed(0)
    both = BipolarAttention(4, alpha=0.7)
    one = BipolarAttention(4, alpha=0.7, positive=kept == "positive", negative=kept == "negative")
    sign = 0 if kept == "positive" else 1
    with torch.no_grad():
        for name, weight in one.named_parameters():
            weight.copy_(getattr(both, name)[sign : sign + 1])
        both.integrate_x[1 - sign] = 0
        both.integrate_y[1 - sign] = 0
    inputs = (torch.randn(2, 3, 4), torch.randn(2, 5, 4), torch.ones(2, 3).bool(), torch.ones(2, 5).bool())
    for expected, found in zip(both(*inputs), one(*inputs), strict=True):
        torch.testing.assert_close(found, expected)


def test_without_either_sign_the_sequences_pass_by_each_other():
    attention = BipolarAttention(4, positive=False, negative=False)
    x, y = torch.randn(2, 3, 4), torch.randn(2, 5, 4)
    x_new, y_new = attention(x, y, torch.ones(2, 3).bool(), torch.ones(2, 5).bool())
    torch.testing.assert_close((x_new, y_new), (x.relu(), y.relu()))
