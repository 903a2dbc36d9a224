"""DSN: every equation against plain NumPy, its switches, its blindness for later posts, and what it learns."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from models.metrics import nmse
from models.predictors import EarlierPosts, Table, TrainingOptions
from models.predictors.dsn import DSN, DSNConfig, DSNPredictor
from models.predictors.post_network import PostForm
from tests.models.predictors.posts_world import (
    PostReference,
    author_table,
    bank_of,
    make_posts,
    randomise,
    samples_of,
    sigmoid,
    softmax,
    split,
    with_post_changed,
)

CONFIG = DSNConfig(width=6, hidden=5, length=4, heads=2, alpha=0.3, beta=0.6)
POSTS = make_posts(30)
OWN = np.array([0, 2, 7, 19, 28, 29])  # the first post, a short past, long ones, and two of unknown time
SAMPLES = samples_of(POSTS, np.arange(30), np.random.default_rng(0).normal(size=(30, 2)))


class Reference(PostReference):
    """DSN post by post."""

    def forecast(self, earlier: EarlierPosts, table: Table) -> np.ndarray:
        outputs = []
        for own, numbers in zip(earlier.own.tolist(), self.statistics(table), strict=True):
            first = own if np.isnan(earlier.posts.time[own]) else max(own - self.config.length + 1, 0)
            outputs.append(self.one(earlier.posts, list(range(first, own + 1)), numbers))
        return np.array(outputs)

    def one(self, posts, rows: list[int], statistics: np.ndarray) -> np.ndarray:
        use, blocks = self.config, []
        for name, kept in (("visual", use.alpha), ("text", use.beta)):
            if getattr(use, f"use_{name}"):
                blocks.append(self.adapter(name, self.content(posts, rows, name), kept))  # eq. 3-5
        if use.use_category and self.form.categories:
            blocks.append(np.array([self.category(posts, row) for row in rows]))
        f = np.concatenate(blocks, axis=1)  # eq. 10
        theta = self.linear("reduce", f)
        if use.use_short_term:
            theta = self.layer_norm("norm", self.gate("gate", self.lstm("recur", f)) + theta)  # eq. 11, 12
        phi = self.residual(theta)  # eq. 13
        h = [phi[-1]]
        if use.use_long_term:
            h.insert(0, self.attend(phi))
        hidden = np.maximum(self.linear("combine.0", np.concatenate(h)), 0.0)
        post = self.linear("combine.2", hidden)  # eq. 20
        u = self.author(posts, rows[-1], statistics, calendar=True)
        return self.linear("head.3", np.maximum(self.linear("head.0", np.concatenate([post, u])), 0.0))  # eq. 21

    def adapter(self, name: str, x: np.ndarray, kept: float) -> np.ndarray:
        kernel = self.weights[f"adapt.{name}.adapted.weight"]  # (d, inputs, 3)
        padded = np.concatenate([np.zeros_like(x[:1]), x, np.zeros_like(x[:1])])
        adapted = [sum(kernel[:, :, k] @ padded[place + k] for k in range(3)) for place in range(len(x))]
        return (1 - kept) * np.maximum(adapted, 0.0) + kept * self.linear(f"adapt.{name}.original", x)

    def gate(self, name: str, x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
        openness = self.linear(f"{name}.gate", x)
        if y is not None:
            openness = openness + self.linear(f"{name}.gate_of_other", y)
        return self.linear(f"{name}.value", x) * sigmoid(openness)  # eq. 7

    def category(self, posts, row: int) -> np.ndarray:
        name, vectors = "embed_category", []
        levels = [self.config.level - 1] if self.config.category == "level" else range(len(self.form.categories))
        for place, level in enumerate(levels):
            code = posts.category[row, level]
            path = posts.categories[level][code - 1] if code else None
            known = self.form.categories[level]
            vectors.append(self.weights[f"{name}.embed.{place}.weight"][known.index(path) + 1 if path in known else 0])
        if self.config.category == "concatenation":
            return self.linear(f"{name}.combine", np.concatenate(vectors))
        if self.config.category != "hierarchical":
            return sum(vectors)
        f = self.linear(f"{name}.combine.0", vectors[0])
        for k, own in enumerate(vectors[1:]):
            gated = self.gate(f"{name}.gates.{k}", f, own)  # eq. 8
            f = self.linear(f"{name}.combine.{k + 1}", np.concatenate([own, gated]))  # eq. 9
        return f

    def residual(self, x: np.ndarray) -> np.ndarray:
        inner = self.linear("refine.inner", x)
        elu = np.where(inner > 0, inner, np.expm1(np.minimum(inner, 0.0)))  # eq. 16
        return self.layer_norm("refine.norm", x + self.gate("refine.gate", self.linear("refine.outer", elu)))  # 14, 15

    def attend(self, phi: np.ndarray) -> np.ndarray:
        d, heads = self.config.width, self.config.heads
        if len(phi) == 1:
            return np.zeros(d)
        q, k, v = self.linear("query", phi[-1]), self.linear("key", phi[:-1]), self.linear("value", phi[:-1])
        parts = []
        for head in range(heads):
            at = slice(head * d // heads, (head + 1) * d // heads)
            parts.append(softmax(k[:, at] @ q[at] / np.sqrt(d // heads)) @ v[:, at])  # eq. 17-19
        return np.concatenate(parts)


def make_model(config: DSNConfig = CONFIG, samples=SAMPLES) -> DSN:
    return randomise(DSN(config, PostForm.of(samples)))


def predict(model: DSN, posts=POSTS, own=OWN, table=None) -> np.ndarray:
    earlier = EarlierPosts(posts, own)
    with torch.no_grad():
        return model(earlier, table or author_table(EarlierPosts(POSTS, own))).numpy()


SWITCHES = [field.name for field in fields(DSNConfig) if field.name.startswith("use_")]
CONFIGS = [
    CONFIG,
    *(replace(CONFIG, length=length) for length in (1, 2, 40)),
    *(replace(CONFIG, category=form) for form in ("concatenation", "sum", "level")),
    replace(CONFIG, category="level", level=2),
    *(replace(CONFIG, **{switch: False}) for switch in SWITCHES),
]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
def test_the_forward_pass_is_the_papers(config):
    model = make_model(config)
    earlier = EarlierPosts(POSTS, OWN)
    expected = Reference(model).forecast(earlier, author_table(earlier))
    np.testing.assert_allclose(predict(model), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "name", [name for name in make_model().state_dict() if not name.startswith("standardise_target")]
)
def test_a_wrong_weight_would_be_noticed(name):
    model = make_model()
    reference = Reference(model)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    everyone = np.arange(len(POSTS))
    earlier = EarlierPosts(POSTS, everyone)
    found = reference.forecast(earlier, author_table(earlier))
    assert np.abs(found - predict(model, own=everyone)).max() > 1e-8


def test_the_weights_of_both_paths_of_an_adapter_are_alpha_and_beta():
    model = make_model()
    reference = Reference(model)
    earlier = EarlierPosts(POSTS, OWN)
    for name in ("alpha", "beta"):
        reference.config = replace(CONFIG, **{name: 0.5})
        assert np.abs(reference.forecast(earlier, author_table(earlier)) - predict(model)).max() > 1e-8


def test_more_places_than_posts_change_nothing():
    """The third post has two earlier ones, however long the sequence may be."""
    model = make_model(replace(CONFIG, length=3))
    expected = predict(model, own=np.array([0, 1, 2]))
    model.config = replace(CONFIG, length=50)
    np.testing.assert_allclose(predict(model, own=np.array([0, 1, 2])), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["visual", "text", "category"])
def test_a_switched_off_feature_has_no_influence(name):
    posts = POSTS
    if name == "category":
        posts = replace(posts, category=np.zeros_like(posts.category))
    else:
        posts = replace(posts, content={**posts.content, name: 9 * posts.content[name]})
    model = make_model(replace(CONFIG, **{f"use_{name}": False}))
    np.testing.assert_array_equal(predict(model, posts), predict(model))
    assert np.abs(predict(make_model(), posts) - predict(make_model())).max() > 1e-6


def test_a_switched_off_statistic_and_the_past_have_no_influence():
    other = author_table(EarlierPosts(POSTS, OWN), seed=5)
    without = make_model(replace(CONFIG, use_statistics=False))
    assert not without.reads_tables
    np.testing.assert_array_equal(predict(without, table=other), predict(without))
    assert np.abs(predict(make_model(), table=other) - predict(make_model())).max() > 1e-6
    alone = make_model(replace(CONFIG, use_short_term=False, use_long_term=False, alpha=1.0, beta=1.0))
    changed = with_post_changed(POSTS, 18)
    own = np.array([19])
    np.testing.assert_array_equal(predict(alone, changed, own), predict(alone, own=own))


SMALL = DSNConfig(width=16, hidden=16, length=3)


def test_a_signal_in_the_previous_post_is_found():
    """The target is told by the frames of the previous post, whoever published it."""
    posts, rng = make_posts(200, complete=True), np.random.default_rng(0)
    target = 5.0 + 2.0 * np.append(0.0, posts.content["visual"][:-1, :1]) + 0.3 * rng.normal(size=200)
    parts = split(samples_of(posts, np.arange(200), target[:, None]))
    model = DSNPredictor(SMALL, TrainingOptions(epochs=12, learning_rate=2e-2, batch_size=32, averaging=0.5))
    model.fit(*parts[:2], bank_of(parts[0]))
    predicted = model.predict(parts[2], bank_of(parts[2]))
    assert nmse(parts[2].target[:, 0], predicted[:, 0]) < 0.6


def test_authors_are_dropped_in_training_so_that_the_unknown_one_is_learned():
    model = DSN(replace(SMALL, unknown_authors=0.5), PostForm.of(SAMPLES)).train()
    model(SAMPLES.posts, SAMPLES.table).sum().backward()
    known = SAMPLES.posts.posts.author[SAMPLES.posts.own] >= 0
    other = DSN(replace(SMALL, unknown_authors=0.0), PostForm.of(SAMPLES)).train()
    rows = np.flatnonzero(known)
    other(SAMPLES.posts.take(rows), SAMPLES.table.take(rows)).sum().backward()
    assert model.author.embed.weight.grad[0].any() and not other.author.embed.weight.grad[0].any()


def test_why_it_cannot_be_fitted_is_said():
    def obstacle(posts, **config):
        samples = samples_of(posts, np.arange(len(posts)), np.zeros((len(posts), 1)))
        return DSNPredictor(replace(CONFIG, **config)).obstacle(samples, bank_of(samples))

    assert obstacle(POSTS) is None
    empty = {name: np.full_like(rows, np.nan) for name, rows in POSTS.content.items()}
    assert obstacle(replace(POSTS, content=empty)) is None
    assert "needs frames or words" in obstacle(replace(POSTS, content=empty), use_category=False)
    assert "level 3 of the categories; those of the training items have 2" in obstacle(POSTS, category="level", level=3)
    assert "needs categories" in obstacle(make_posts(30, categories=False), use_visual=False, use_text=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"length": 0}, "length must be at least 1"),
        ({"beta": 1.5}, r"beta must lie in \[0, 1\]"),
        ({"heads": 4}, "heads must divide width, given 4 heads and width 6"),
        ({"use_visual": False, "use_text": False, "use_category": False}, "at least one of"),
    ],
)
def test_a_wrong_option_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changed)
