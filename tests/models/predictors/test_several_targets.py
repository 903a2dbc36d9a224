"""Several targets at once: unknown labels are masked, and one target gives the same bits as before there were several."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.predictors import M3TR, M3TRPredictor, Samples, TrainingOptions
from models.predictors.samples import minibatch
from models.predictors.training import joint_loss
from models.predictors.validation import mean_nmse
from tests.models.predictors.reference import Reference
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_m3tr import CONFIG, hood, make_model, predict, videos
from tests.models.predictors.test_training import SMALL


def twice(samples: Samples, *, unknown: float, seed: int = 0) -> Samples:
    """A second target, minus the first, of which a share is unknown, of the videos and of their neighbours."""
    rng = np.random.default_rng(seed)

    def with_second(values: np.ndarray) -> np.ndarray:
        second = np.where(rng.random(values.shape) < unknown, np.nan, -values)
        return np.concatenate([values, second], axis=-1)

    found = samples.neighbourhood
    return replace(
        samples,
        target=with_second(samples.target),
        neighbourhood=replace(found, label=with_second(found.label).astype(np.float32)),
    )


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(items=120, neighbours=4, circles=12)


def test_the_forward_pass_with_unknown_labels_is_the_papers():
    model, around = make_model(CONFIG, targets=2), hood()
    label = torch.cat([around.label, -around.label], -1)
    label[0, 1, 1] = label[1, 0] = torch.nan
    around = replace(around, label=label)
    with torch.no_grad():
        found = model(videos(4, 0), videos(5, 1), around).numpy()
    expected = Reference(model).predict(videos(4, 0), videos(5, 1), around)
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)
    other = Reference(model)
    other.weights["unknown_label"] += 0.1
    assert np.abs(other.predict(videos(4, 0), videos(5, 1), around) - found).max() > 1e-8
    assert "unknown_label" not in make_model(CONFIG).state_dict() and predict(make_model(CONFIG)).shape == (4, 1)


def test_the_loss_is_the_mean_over_targets_of_the_nmse_on_known_labels(world):
    samples = twice(world.train, unknown=0.6)
    torch.manual_seed(0)
    model = M3TR(SMALL, samples.features.widths, targets=2).eval()
    model.standardise_target.fit(samples.target)
    batch = minibatch(samples, world.bank, np.arange(20), with_feedback=False)
    with torch.no_grad():
        found = float(joint_loss(model, batch, gamma=0.0)[0])
        predicted = model.forecast(batch).double().numpy()
    by_target = []
    for column in range(2):
        known = ~np.isnan(samples.target[:20, column])
        error = (predicted[known, column] - samples.target[:20][known, column]) ** 2
        by_target.append(error.mean() / np.nanvar(samples.target[:, column]))
    assert found == pytest.approx(np.mean(by_target), rel=1e-4)


def test_a_batch_without_any_known_label_of_a_target_leaves_it_out(world):
    samples = twice(world.train, unknown=1.0)
    model = M3TR(SMALL, samples.features.widths, targets=2)
    model.standardise_target.fit(samples.target)
    loss = joint_loss(model, minibatch(samples, world.bank, np.arange(9), with_feedback=False), gamma=0.0)[0]
    loss.backward()
    assert torch.isfinite(loss) and all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_the_validation_score_counts_known_labels_only(world):
    samples = twice(world.dev, unknown=0.5)
    predicted = np.nan_to_num(samples.target)
    predicted[:, 0] += 1.0
    score = mean_nmse(samples, predicted, scale=np.ones(2))
    assert score == pytest.approx(0.5 / np.var(samples.target[:, 0]))


def test_both_targets_are_learned_and_a_saved_model_forecasts_the_same(world, tmp_path):
    parts = [twice(part, unknown=0.3, seed=seed) for seed, part in enumerate((world.train, world.dev, world.test))]
    model = M3TRPredictor(SMALL, TrainingOptions(epochs=25, learning_rate=3e-3))
    model.fit(*parts[:2], world.bank)
    predicted = model.predict(parts[2], world.bank)
    assert mean_nmse(parts[2], predicted, scale=np.ones(2)) < 0.6
    model.save(tmp_path / "model")
    loaded = M3TRPredictor(SMALL)
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(parts[2], world.bank), predicted)


def test_a_training_item_without_any_label_is_refused(world):
    target = world.train.target.copy()
    target[3] = np.nan
    with pytest.raises(ValueError, match="training item item3 has no known target"):
        M3TRPredictor(SMALL).fit(replace(world.train, target=target), world.dev, world.bank)
