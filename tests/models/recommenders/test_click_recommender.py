"""Fit, score, save and load of click models, and what a score may depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.recommenders import HistorySplit, ItemFeatures, Queries, UserHistories
from models.recommenders.alpine import ALPINE
from models.recommenders.atrank import ATRank
from models.recommenders.bpr import BPR
from models.recommenders.click_recommender import ClickRecommender
from models.recommenders.cnn import CNN
from models.recommenders.lstm import LSTM
from models.recommenders.mtin import MTIN
from models.recommenders.ncf import NCF
from models.recommenders.thacil import THACIL
from tests.benchmarks.planted_interests import groups_against_truth
from tests.models.recommenders.interest_world import InterestWorld, make_world

KINDS = [BPR, LSTM, CNN, NCF, ATRank, THACIL, ALPINE, MTIN]
SMALL = {"width": 8, "epochs": 1}
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.title)


@pytest.fixture(scope="module")
def world() -> InterestWorld:
    return make_world(users=12, items=60, topics=6, interests=2, exposures=40, width=6)


def fitted(kind: type[ClickRecommender], world: InterestWorld, **options: object) -> ClickRecommender:
    recommender = kind.from_options({**SMALL, **options})
    recommender.fit(world.histories, world.features, world.split)
    return recommender


def changed_after(world: InterestWorld, seen: int) -> UserHistories:
    """The same histories up to each user's first `seen` exposures; later ones have other items and other answers."""
    place = np.arange(len(world.histories.item)) - np.repeat(world.histories.start[:-1], np.diff(world.histories.start))
    later = place >= seen
    item = np.where(later, (world.histories.item + 7) % len(world.histories.items), world.histories.item)
    return replace(
        world.histories,
        item=item.astype(np.int32),
        clicked=np.where(later, ~world.histories.clicked, world.histories.clicked),
    )


@each_kind
def test_a_model_is_saved_and_loaded_whole(kind, world, tmp_path):
    recommender = fitted(kind, world)
    queries = Queries.before(world.histories, world.split.test[::9])
    scores = recommender.score(world.histories, world.features, queries)
    recommender.save(tmp_path)
    other = kind()
    other.load(tmp_path)
    assert np.array_equal(other.score(world.histories, world.features, queries), scores)
    chosen = np.arange(2 * len(queries)).reshape(-1, 2) % len(world.histories.items)
    some = other.score(world.histories, world.features, queries, chosen)
    np.testing.assert_allclose(some, np.take_along_axis(scores, chosen, 1), rtol=1e-4, atol=1e-5)


@each_kind
def test_later_exposures_change_no_earlier_score(kind, world):
    recommender = fitted(kind, world)
    queries = Queries(np.arange(12), np.full(12, 20), world.histories.time[world.histories.start[:-1] + 20])
    before = recommender.score(world.histories, world.features, queries)
    assert np.array_equal(recommender.score(changed_after(world, 20), world.features, queries), before)
    if kind not in (BPR, NCF):  # they read no histories
        assert not np.array_equal(recommender.score(changed_after(world, 19), world.features, queries), before)


@each_kind
def test_a_fit_reads_nothing_of_the_test(kind, world):
    train = HistorySplit(np.full(12, 30), np.zeros(0, np.int64), np.zeros(0, np.int64))
    scores = []
    for histories in (world.histories, changed_after(world, 30)):
        recommender = kind.from_options(SMALL)
        recommender.fit(histories, world.features, train)
        queries = Queries(np.arange(12), np.full(12, 20), world.histories.time[world.histories.start[:-1] + 20])
        scores.append(recommender.score(histories, world.features, queries))
    assert np.array_equal(*scores)


def test_exposures_at_one_time_do_not_see_each_other(world):
    time = world.histories.time.copy()
    last = world.histories.start[1:] - 1
    time[last - 1] = time[last]
    histories = replace(world.histories, time=time)
    assert (Queries.before(histories, last).seen == 38).all()


def test_the_same_seed_gives_the_same_weights(world):
    weights = [fitted(MTIN, world).network.state_dict() for _ in range(2)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_clicks_alone_are_told_from_random_items(world):
    clicks = np.flatnonzero(world.histories.clicked)
    bounds = np.searchsorted(clicks, world.histories.start)
    histories = UserHistories(
        users=world.histories.users,
        items=world.histories.items,
        start=bounds,
        item=world.histories.item[clicks],
        time=world.histories.time[clicks],
        clicked=np.ones(len(clicks), bool),
    )
    split = HistorySplit(np.diff(bounds) - 1, bounds[1:] - 1, np.zeros(0, np.int64))
    recommender = BPR.from_options({"epochs": 30, "learning_rate": 0.03, "patience": 30})
    report = recommender.fit(histories, world.features, split)
    assert report.epochs[-1].loss < 0.6 < report.epochs[0].loss
    assert report.metric == "AUC"


def test_items_without_content_need_ids(world):
    bare = ItemFeatures()
    with pytest.raises(ValueError, match="the items have no features; the option ids = true"):
        LSTM.from_options(SMALL).fit(world.histories, bare, world.split)
    recommender = LSTM.from_options({**SMALL, "ids": True})
    recommender.fit(world.histories, bare, world.split)
    queries = Queries.before(world.histories, world.split.test[:2])
    assert np.isfinite(recommender.score(world.histories, bare, queries)).all()


def test_a_modality_that_an_item_lacks_is_the_mean(world):
    known = np.ones(60, bool)
    known[:5] = False
    values = world.features.vectors["visual"].copy()
    values[:5] = 1e6  # read by nobody
    features = ItemFeatures({"visual": values}, known={"visual": known})
    recommender = BPR.from_options(SMALL)
    recommender.fit(world.histories, features, world.split)
    queries = Queries.before(world.histories, world.split.test[:2])
    scores = recommender.score(world.histories, features, queries)
    assert np.allclose(scores[:, :5], scores[:, :1])
    assert np.abs(scores).max() < 1e3


def test_an_unknown_option_lists_the_known_ones():
    with pytest.raises(ValueError, match="'group' is unknown; allowed: aggregation, base, batch_size"):
        MTIN.check_options({"group": 3})


@pytest.mark.slow
def test_mtin_finds_planted_interests_and_filters_false_clicks():
    world = make_world(users=40, exposures=80)
    recommender = MTIN.from_options({"epochs": 2, "learning_rate": 3e-3, "block": 8})
    recommender.fit(world.histories, world.features, world.split)
    found = groups_against_truth(recommender, world)
    assert found["AMI"] > 0.8 > 0.1 > found["AMI of shuffled groups"]
    assert found["false clicks filtered"] > 5 * found["true clicks filtered"]
