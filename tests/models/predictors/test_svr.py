"""Support vector regression: the same as scikit-learn on rows put together by hand, and the choice of its parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR as Peer

from models.metrics import nmse
from models.predictors.svr import SVR, SVROptions, SVRWithCounts
from tests.models.predictors.synthetic import make_world
from tests.models.predictors.tabular import tabular_world, without


@pytest.fixture(scope="module")
def world():
    return make_world(items=240, neighbours=3, circles=6)


def rows_by_hand(samples) -> np.ndarray:
    return np.array(
        [
            np.concatenate(
                [
                    np.mean(np.asarray(rows.values[video][rows.mask[video]], np.float64), 0)
                    for rows in (samples.features.visual, samples.features.acoustic, samples.features.text)
                ]
            )
            for video in range(len(samples))
        ]
    )


@pytest.mark.parametrize(("peer_penalty", "same"), [(1.0, True), (2.0, False)])
def test_it_is_scikit_learn_on_the_mean_rows(world, peer_penalty, same):
    model = SVR(SVROptions(penalty=1.0, epsilon=0.1))
    model.fit(world.train, world.dev, world.bank)
    target = world.train.target[:, 0]
    scaler, mean, scale = StandardScaler().fit(rows_by_hand(world.train)), target.mean(), target.std()
    peer = Peer(C=peer_penalty, epsilon=0.1, gamma="scale")
    peer.fit(scaler.transform(rows_by_hand(world.train)), (target - mean) / scale)
    expected = peer.predict(scaler.transform(rows_by_hand(world.test))) * scale + mean
    assert np.allclose(model.predict(world.test, world.bank)[:, 0], expected, atol=1e-5) == same


def test_the_grid_is_decided_by_the_validation_windows(world):
    chosen = SVR()
    report = chosen.fit(world.train, world.dev, world.bank)
    fixed = [
        SVR(SVROptions(penalty=penalty, epsilon=epsilon)).fit(world.train, world.dev, world.bank).best_dev_nmse
        for penalty in (0.1, 1.0, 10.0)
        for epsilon in (0.01, 0.1)
    ]
    assert report.best_dev_nmse == min(fixed) < max(fixed)
    assert nmse(world.test.target[:, 0], chosen.predict(world.test, world.bank)[:, 0]) < 0.9


def test_more_windows_than_the_exact_fit_takes_are_approximated(world):
    options = {"penalty": 1.0, "epsilon": 0.1}
    exact, near = SVR(SVROptions(**options)), SVR(SVROptions(**options, exact_rows=1, landmarks=len(world.train)))
    for model in (exact, near):
        model.fit(world.train, world.dev, world.bank)
    pair = [model.predict(world.test, world.bank)[:, 0] for model in (exact, near)]
    assert np.corrcoef(*pair)[0, 1] > 0.95 and not np.array_equal(*pair)


def test_a_missing_modality_is_the_mean_of_the_training_videos(world):
    model = SVR(SVROptions(penalty=1.0, epsilon=0.1))
    model.fit(world.train, world.dev, world.bank)
    everything = np.ones(len(world.test), bool)
    silent = without(world.test, acoustic=everything)
    mean = world.train.features.acoustic.values.mean((0, 1))
    average = replace(world.test.features.acoustic, values=np.broadcast_to(mean, (len(world.test), 10, len(mean))))
    filled = replace(world.test, features=replace(world.test.features, acoustic=average))
    np.testing.assert_allclose(model.predict(silent, world.bank), model.predict(filled, world.bank), atol=1e-5)


def test_counts_find_what_content_cannot():
    world, scores = tabular_world(items=240), []
    known = ~np.isnan(world.test.target[:, 1])
    for model in (SVR(), SVRWithCounts()):
        model.fit(world.train, world.dev, world.bank)
        scores.append(nmse(world.test.target[known, 1], model.predict(world.test, world.bank)[known, 1]))
    assert scores[1] < 0.85 < 0.95 < scores[0]
    with pytest.raises(ValueError, match=r"needs `samples\.table`"):
        SVRWithCounts().fit(replace(world.train, table=None), None, world.bank)


def test_data_without_content_are_an_obstacle(world):
    everything = np.ones(len(world.train), bool)
    bare = without(world.train, visual=everything, acoustic=everything, text=everything)
    assert SVR().obstacle(bare, world.bank) == "has no frames, sound or words"
    assert SVR().obstacle(world.train, world.bank) is None
