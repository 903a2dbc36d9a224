"""Multi-view against plain NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from models.predictors import EarlierPosts, Table
from models.predictors.multi_view import MultiView, MultiViewConfig
from models.predictors.post_network import PostForm
from tests.models.predictors.posts_world import (
    PostReference,
    author_table,
    make_posts,
    randomise,
    samples_of,
    softmax,
)

CONFIG = MultiViewConfig(width=6, hidden=5, length=4, average=3, layers=2, heads=2)
POSTS = make_posts(60)
EVERY = EarlierPosts(POSTS, np.arange(60))
TABLE = author_table(EVERY)


class Reference(PostReference):
    """Multi-view post by post."""

    def forecast(self, earlier: EarlierPosts, table: Table) -> np.ndarray:
        return np.array(
            [
                self.one(earlier.posts, own, numbers)
                for own, numbers in zip(earlier.own.tolist(), self.statistics(table), strict=True)
            ]
        )

    def one(self, posts, own: int, statistics: np.ndarray) -> np.ndarray:
        timed = not np.isnan(posts.time[own])
        rows = [row for row in range(own) if timed and posts.author[row] == posts.author[own] >= 0] + [own]
        both = np.concatenate([self.content(posts, rows, name) for name in ("visual", "text")], axis=1)
        x = self.linear("embed", both)
        last = x[-self.config.length :]
        z = last + self.weights["place"][: len(last)][::-1]
        for layer in range(self.config.layers):
            z = self.block(f"transform.layers.{layer}", z)
        z = self.layer_norm("transform.norm", z[-1])
        u = self.author(posts, own, statistics, calendar=True)
        features = np.concatenate([z, x[-1], x[-self.config.average :].mean(0), u])
        return self.linear("head.3", np.maximum(self.linear("head.0", features), 0.0))

    def block(self, name: str, x: np.ndarray) -> np.ndarray:
        """Causal attention and a perceptron with GELU, each after a layer norm and added to its input."""
        d, heads = self.config.width, self.config.heads
        inner = self.layer_norm(f"{name}.norm1", x)
        joint = (
            inner @ self.weights[f"{name}.self_attn.in_proj_weight"].T + self.weights[f"{name}.self_attn.in_proj_bias"]
        )
        attended = np.zeros_like(x)
        for place in range(len(x)):
            for head in range(heads):
                q, k, v = (joint[:, part * d :][:, head * d // heads : (head + 1) * d // heads] for part in range(3))
                weights = softmax(k[: place + 1] @ q[place] / np.sqrt(d // heads))
                attended[place, head * d // heads : (head + 1) * d // heads] = weights @ v[: place + 1]
        x = x + self.linear(f"{name}.self_attn.out_proj", attended)
        hidden = self.linear(f"{name}.linear1", self.layer_norm(f"{name}.norm2", x))
        return x + self.linear(f"{name}.linear2", hidden * (1.0 + erf(hidden / np.sqrt(2.0))) / 2.0)


def make_model(config: MultiViewConfig = CONFIG) -> MultiView:
    samples = samples_of(POSTS, np.arange(60), np.random.default_rng(0).normal(size=(60, 2)))
    return randomise(MultiView(config, PostForm.of(samples)))


def predict(model: MultiView) -> np.ndarray:
    with torch.no_grad():
        return model(EVERY, TABLE).numpy()


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, length=1, average=5),
        replace(CONFIG, length=30, average=1),
        replace(CONFIG, use_statistics=False),
    ],
    ids=repr,
)
def test_the_forward_pass_is_that_of_the_reference(config):
    model = make_model(config)
    np.testing.assert_allclose(predict(model), Reference(model).forecast(EVERY, TABLE), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("changed", [{"length": 3}, {"average": 2}, {"heads": 3}], ids=repr)
def test_another_sequence_or_other_heads_would_be_noticed(changed):
    model = make_model()
    reference = Reference(model)
    reference.config = replace(CONFIG, **changed)
    assert np.abs(reference.forecast(EVERY, TABLE) - predict(model)).max() > 1e-6
