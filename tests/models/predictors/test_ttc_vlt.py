"""TTC-VLT against plain NumPy: the forecast and the contrastive loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.predictors import EarlierPosts, Table, TrainingOptions
from models.predictors.post_network import PostForm
from models.predictors.samples import Samples, minibatch
from models.predictors.training import joint_loss
from models.predictors.ttc_vlt import TTCVLT, TTCVLTConfig
from tests.models.predictors.posts_world import (
    PostReference,
    bank_of,
    make_posts,
    randomise,
    samples_of,
    take,
)

CONFIG = TTCVLTConfig(width=6, hidden=5, temperature=0.2)
POSTS = make_posts(60)
SAMPLES = samples_of(POSTS, np.arange(60), np.random.default_rng(0).normal(size=(60, 2)))


class Reference(PostReference):
    """TTC-VLT post by post."""

    def streams(self, earlier: EarlierPosts) -> list[np.ndarray]:
        own = earlier.own.tolist()
        return [
            self.perceptron(f"stream.{name}", self.content(earlier.posts, own, name)) for name in ("visual", "text")
        ]

    def perceptron(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.linear(f"{name}.3", np.maximum(self.linear(f"{name}.0", x), 0.0))

    def forecast(self, earlier: EarlierPosts, table: Table) -> np.ndarray:
        authors = [
            self.author(earlier.posts, own, numbers, calendar=False)
            for own, numbers in zip(earlier.own.tolist(), self.statistics(table), strict=True)
        ]
        return self.perceptron("head", np.concatenate([*self.streams(earlier), authors], axis=1))

    def contrast(self, earlier: EarlierPosts) -> float:
        content = earlier.posts.content
        both = ~np.isnan(content["visual"][earlier.own, 0]) & ~np.isnan(content["text"][earlier.own, 0])
        seen, said = (
            stream[both] / np.linalg.norm(stream[both], axis=1, keepdims=True) for stream in self.streams(earlier)
        )
        scores = np.exp(seen @ said.T / self.config.temperature)
        ways = [np.log(np.diag(scores) / scores.sum(axis)) for axis in (0, 1)]
        return -float(np.mean(ways))


def make_model(config: TTCVLTConfig = CONFIG) -> TTCVLT:
    return randomise(TTCVLT(config, PostForm.of(SAMPLES)))


def batch_of(samples: Samples):
    reads = {"with_feedback": False, "with_tables": True, "with_rows": False, "with_posts": True}
    return minibatch(samples, bank_of(samples), np.arange(len(samples)), **reads)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, use_statistics=False)], ids=repr)
def test_the_forward_pass_is_that_of_the_reference(config):
    model = make_model(config)
    with torch.no_grad():
        found = model(SAMPLES.posts, SAMPLES.table).numpy()
    expected = Reference(model).forecast(SAMPLES.posts, SAMPLES.table)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_the_loss_adds_the_contrast_of_posts_with_frames_and_words():
    model = make_model()
    weight = model.further_weight(TrainingOptions(gamma=0.3))
    with torch.no_grad():
        total, prediction, contrast = (float(part) for part in joint_loss(model, batch_of(SAMPLES), gamma=weight))
    reference = Reference(model)
    assert weight == 0.3 and total == pytest.approx(prediction + 0.3 * contrast, rel=1e-12)
    assert contrast == pytest.approx(reference.contrast(SAMPLES.posts), rel=1e-10)
    reference.config = replace(CONFIG, temperature=0.25)
    assert abs(reference.contrast(SAMPLES.posts) - contrast) > 1e-6


def test_fewer_than_two_posts_with_both_have_no_contrast():
    model, content = make_model(), POSTS.content
    both = np.flatnonzero(~np.isnan(content["visual"][:, 0]) & ~np.isnan(content["text"][:, 0]))
    lacking = np.flatnonzero(np.isnan(content["visual"][:, 0]))
    loss = model.further_loss(batch_of(take(SAMPLES, np.append(both[:1], lacking))))
    loss.backward()
    assert loss.item() == 0.0 and all(not p.grad.any() for p in model.stream.parameters())


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(ValueError, match="temperature must be above 0, given 0"):
        replace(CONFIG, temperature=0.0)
