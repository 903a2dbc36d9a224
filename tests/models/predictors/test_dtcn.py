"""DTCN against plain NumPy, and which posts its two contexts hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.predictors import EarlierPosts, Table
from models.predictors.dtcn import DTCN, DTCNConfig
from models.predictors.post_network import PostForm
from tests.models.predictors.posts_world import (
    PostReference,
    author_table,
    make_posts,
    randomise,
    samples_of,
    softmax,
)

CONFIG = DTCNConfig(hidden=5, embedding=6, length=4, within_days=1.5, block_hours=6, decay_seconds=4e4)
POSTS = make_posts(60)
EVERY = EarlierPosts(POSTS, np.arange(60))
TABLE = author_table(EVERY)


class Reference(PostReference):
    """DTCN post by post; the contexts are found by their definition."""

    def forecast(self, earlier: EarlierPosts, table: Table) -> np.ndarray:
        return np.array(
            [
                self.one(earlier.posts, own, numbers)
                for own, numbers in zip(earlier.own.tolist(), self.statistics(table), strict=True)
            ]
        )

    def one(self, posts, own: int, statistics: np.ndarray) -> np.ndarray:
        use, time, hour = self.config, posts.time, posts.calendar[:, 2]
        same = [row for row in range(own) if posts.author[row] == posts.author[own] >= 0 and not np.isnan(time[own])]
        recent = [row for row in same if time[own] - time[row] <= 24 * use.within_days]
        periodic = [row for row in same if hour[row] // use.block_hours == hour[own] // use.block_hours]
        author = self.embedding("author", self.author(posts, own, statistics, calendar=False))
        contexts = []
        for name, rows in (("neighbouring", recent), ("periodic", periodic)):
            rows = [*rows, own][-use.length :]
            seen = self.embedding("visual", self.content(posts, rows, "visual"))
            states = self.lstm(f"recur.{name}", np.concatenate([seen, np.tile(author, (len(rows), 1))], axis=1))
            gaps = np.array([0.0 if row == own else 3600 * (time[own] - time[row]) for row in rows])
            contexts.append(softmax(np.exp(-gaps / use.decay_seconds)) @ states)
        return self.linear("head.1", np.concatenate(contexts))

    def embedding(self, name: str, x: np.ndarray) -> np.ndarray:
        return np.tanh(self.linear(f"embed.{name}.3", np.tanh(self.linear(f"embed.{name}.0", x))))


def make_model(config: DTCNConfig = CONFIG) -> DTCN:
    samples = samples_of(POSTS, np.arange(60), np.random.default_rng(0).normal(size=(60, 2)))
    return randomise(DTCN(config, PostForm.of(samples)))


def predict(model: DTCN) -> np.ndarray:
    with torch.no_grad():
        return model(EVERY, TABLE).numpy()


@pytest.mark.parametrize(
    "config", [CONFIG, replace(CONFIG, length=1), replace(CONFIG, length=30, use_statistics=False)], ids=repr
)
def test_the_forward_pass_is_the_papers(config):
    model = make_model(config)
    np.testing.assert_allclose(predict(model), Reference(model).forecast(EVERY, TABLE), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "changed", [{"within_days": 0.5}, {"block_hours": 12}, {"decay_seconds": 1e5}, {"length": 3}], ids=repr
)
def test_another_context_would_be_noticed(changed):
    model = make_model()
    reference = Reference(model)
    reference.config = replace(CONFIG, **changed)
    assert np.abs(reference.forecast(EVERY, TABLE) - predict(model)).max() > 1e-6


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"embedding": 1}, "embedding must be at least 2"),
        ({"block_hours": 0}, "block_hours must be at least 1"),
        ({"within_days": 0.0}, "within_days must be above 0"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\)"),
    ],
)
def test_a_wrong_option_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changed)
