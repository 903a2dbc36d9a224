"""What holds for every predictor that reads posts in the order of their publication."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.metrics import nmse
from models.predictor_table import predictor_class
from models.predictors import EarlierPosts, PublishedPosts, Samples, TrainingOptions
from models.predictors.post_network import PostForm, PostNetwork, PostPredictor
from models.predictors.samples import minibatch
from models.predictors.training import joint_loss
from tests.models.predictors.posts_world import (
    author_table,
    bank_of,
    make_posts,
    randomise,
    samples_of,
    split,
    take,
    with_post_changed,
)
from tests.models.predictors.test_own_options import SETTINGS

SMALL = {
    "dsn": {"width": 8, "hidden": 6, "length": 4},
    "dtcn": {"hidden": 6, "embedding": 6, "length": 4},
    "multi_view": {"width": 8, "hidden": 6, "length": 4},
    "ttc_vlt": {"width": 6, "hidden": 6},
}
NAMES = list(SMALL)
POSTS = make_posts(60)
SAMPLES = samples_of(POSTS, np.arange(60), np.random.default_rng(0).normal(size=(60, 2)))


def unfitted(name: str, **options) -> PostPredictor:
    made = predictor_class(name)
    return made(made.config_class(**SMALL[name]), TrainingOptions(**options))


def network_of(name: str) -> PostNetwork:
    return randomise(unfitted(name).build(SAMPLES))


def predict(network: PostNetwork, posts: PublishedPosts, own: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return network(EarlierPosts(posts, own), author_table(EarlierPosts(POSTS, own))).numpy()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name):
    network = unfitted(name).build(SAMPLES)
    batch = minibatch(
        SAMPLES,
        bank_of(SAMPLES),
        np.arange(60),
        with_feedback=False,
        with_tables=True,
        with_rows=False,
        with_posts=True,
    )
    joint_loss(network, batch, gamma=network.further_weight(TrainingOptions()))[0].backward()
    assert [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_changes_no_other_forecast(name):
    network, own = network_of(name), np.array([0, 2, 30, 57, 58, 59])
    alone = [predict(network, POSTS, own[place : place + 1])[0] for place in range(len(own))]
    np.testing.assert_allclose(predict(network, POSTS, own), alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_later_post_changes_nothing(name):
    """Every post after the middle becomes another one; the forecasts of those up to the middle stay to the bit."""
    network, own, changed = network_of(name), np.arange(30), POSTS
    for row in range(30, 60):
        changed = with_post_changed(changed, row)
    np.testing.assert_array_equal(predict(network, changed, own), predict(network, POSTS, own))


@pytest.mark.parametrize(("name", "reads"), [("dsn", True), ("dtcn", True), ("multi_view", True), ("ttc_vlt", False)])
def test_the_content_of_the_authors_previous_post_is_read(name, reads):
    network, own = network_of(name), np.flatnonzero(np.diff(POSTS.author, prepend=-2) == 0)
    own = own[POSTS.author[own] >= 0][:1]  # the post before it is the same author's
    content = {key: rows.copy() for key, rows in POSTS.content.items()}
    content["visual"][own - 1] = 9.0
    found = predict(network, replace(POSTS, content=content), own)
    assert (np.abs(found - predict(network, POSTS, own)).max() > 1e-9) == reads


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_from_the_own_post_and_a_saved_model_forecasts_the_same(name, tmp_path):
    """Also for authors and categories that training has not seen, for posts of unknown time, and for missing content."""
    posts, rng = make_posts(240, authors=8, seed=1), np.random.default_rng(1)
    seen = np.nan_to_num(posts.content["visual"][:, 0])
    parts = split(samples_of(posts, rng.permutation(240), np.zeros((240, 1))))
    parts = [replace(part, target=6.0 + 2.0 * seen[part.posts.own, None]) for part in parts]
    model = unfitted(name, epochs=15, learning_rate=2e-2, averaging=0.5)
    report = model.fit(*parts[:2], bank_of(parts[0]))
    assert (report.epochs[0].further_loss is None) == (name != "ttc_vlt")
    predicted = model.predict(parts[2], bank_of(parts[2]))
    assert nmse(parts[2].target[:, 0], predicted[:, 0]) < 0.6
    model.save(tmp_path)
    loaded = predictor_class(name)()
    loaded.load(tmp_path)
    strangers = replace(
        posts, authors=tuple(f"new{name}" for name in posts.authors), categories=(("art", "music"), ("a", "b", "c"))
    )
    for test in (parts[2], replace(parts[2], posts=replace(parts[2].posts, posts=strangers))):
        predicted = model.predict(test, bank_of(test))
        assert np.isfinite(predicted).all()
        np.testing.assert_array_equal(loaded.predict(test, bank_of(test)), predicted)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_a_gpu_trained_forecasts_the_same_on_a_cpu(name):
    parts = split(SAMPLES)
    model = unfitted(name, epochs=3)
    model.fit(*parts[:2], bank_of(parts[0]), device="cuda")
    on_gpu = model.predict(parts[2], bank_of(parts[2]), device="cuda")
    np.testing.assert_allclose(model.predict(parts[2], bank_of(parts[2])), on_gpu, rtol=1e-3, atol=1e-3)


def obstacle(name: str, posts: PublishedPosts) -> str | None:
    samples = samples_of(posts, np.arange(len(posts)), np.zeros((len(posts), 1)))
    return unfitted(name).obstacle(samples, bank_of(samples))


@pytest.mark.parametrize("name", NAMES)
def test_why_it_cannot_be_fitted_is_said(name):
    assert obstacle(name, POSTS) is None
    assert obstacle(name, replace(POSTS, time=np.full(60, np.nan))).startswith("needs times of publication")
    without = obstacle(name, replace(POSTS, author=np.full(60, -1)))
    assert without == ("needs authors; no training item has one" if name in ("dtcn", "multi_view") else None)
    silent = replace(POSTS, content={key: np.full_like(rows, np.nan) for key, rows in POSTS.content.items()})
    reason = obstacle(name, replace(silent, category=np.zeros((60, 0), int), categories=()))
    assert reason.startswith("needs frames")


def test_two_streams_need_frames_and_words_and_dtcn_needs_frames():
    blind = replace(POSTS, content={**POSTS.content, "visual": np.full_like(POSTS.content["visual"], np.nan)})
    assert [obstacle(name, blind) is None for name in NAMES] == [True, False, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_shared_settings_printed_values_and_own_options_reach_the_network(name):
    made = predictor_class(name)
    assert made.from_settings(SETTINGS, temporal_encoder=None).config.hidden == SETTINGS["dim"]
    paper = made.from_settings({**SETTINGS, "preset": "paper"}, temporal_encoder=None)
    values = {key: getattr(paper.config, key, None) or getattr(paper.options, key, None) for key in made.paper}
    assert values == dict(made.paper)
    assert made.reads_table(SETTINGS) and not made.reads_table({**SETTINGS, "options": {"use_statistics": False}})


def test_the_standardisers_are_fitted_to_training_items_alone():
    """The posts of the other items are earlier posts of training items, and take no part all the same."""
    part = take(SAMPLES, np.arange(0, 60, 2))
    network = unfitted("dsn").build(part)
    network.fit_scales(part, np.arange(30))
    own = POSTS.content["visual"][::2]
    np.testing.assert_allclose(network.standardise["visual"].mean.numpy(), np.nanmean(own, 0), rtol=1e-4)
    never = np.setdiff1d(np.arange(24), POSTS.calendar[:60:2, 2])
    assert len(never) and not network.author.trained_dates[43:][never].any()
    assert network.author.trained_dates.sum() == sum(len(set(column[column >= 0])) for column in POSTS.calendar[::2].T)
    assert PostForm.of(part).authors == sorted({POSTS.authors[code] for code in POSTS.author[::2] if code >= 0})


def test_items_without_earlier_posts_are_refused():
    samples: Samples = take(SAMPLES, np.arange(10))
    with pytest.raises(ValueError, match="needs the earlier posts of the validation items"):
        unfitted("dsn").fit(samples, replace(samples, posts=None), bank_of(samples))
