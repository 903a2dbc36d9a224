"""MUFM's forward pass against plain NumPy, its ablations, and what it learns from the feedback."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import metrics
from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, fit
from models.predictors import Feedback, Samples, Table, TrainingOptions
from models.predictors.mufm import MUFM, MUFMConfig, MUFMPredictor
from models.predictors.own_options import SHARED
from models.predictors.samples import Minibatch
from models.temporal import TemporalEncoder
from tests.models.predictors.retrieved_reference import RetrievedReference
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_m3tr import WIDTHS, hood, videos
from tests.models.predictors.test_mmra import with_random_weights, without

CONFIG = MUFMConfig(width=4, hidden=5, alpha=0.7, neighbours=3)


class Reference(RetrievedReference):
    separate_values = normalised = True
    rectified = False

    def predict(self, batch: Minibatch, scalars: list[np.ndarray]) -> np.ndarray:
        """Eq. 17 and 18; scalars are (b,) each."""
        found = []
        for video in range(len(batch.target)):
            h = self.content(batch.target, batch.neighbours, batch.neighbourhood, video)
            output = self.linear("output", h)
            output = np.maximum(output, 0.0) if self.config.head == "relu" else output
            found.append(self.linear("head", np.concatenate([output, [values[video] for values in scalars]])))
        return self.on_the_targets_scale(np.array(found))


@pytest.fixture(scope="module")
def encoder() -> TemporalEncoder:
    torch.manual_seed(0)
    return TemporalEncoder(MambaHawkesProcess(2, intensity="mufm", hidden=3, state=2).eval(), length=4)


def feedback_of(encoder: TemporalEncoder, times: list[np.ndarray]) -> Feedback:
    types = [np.arange(len(at)) % 2 for at in times]
    observed = EventBatch.from_sequences(times, types, t_end=[9.0] * len(times))
    return Feedback(observed, encoder.complete(observed, seeds=range(len(times))))


def batch_of(encoder: TemporalEncoder) -> Minibatch:
    """Four windows of four, three, one and no event, with a recommendation score of which one is unknown."""
    times = [np.array([0.5, 1.0, 3.0, 8.0]), np.array([0.1, 0.2, 0.4]), np.array([2.0]), np.array([])]
    table = Table(np.array([[1.0, 0.3], [1.0, np.nan], [1.0, 0.9], [1.0, 0.1]]), ("other", "score"))
    return Minibatch(videos(4, 0), videos(5, 1), hood(), None, feedback_of(encoder, times), (table, table))


def make_model(encoder: TemporalEncoder, config: MUFMConfig = CONFIG) -> MUFM:
    return with_random_weights(MUFM(config, WIDTHS, temporal_encoder=copy.deepcopy(encoder)))


def scalars(reference: Reference, model: MUFM, batch: Minibatch) -> list[np.ndarray]:
    """What eq. 18 adds to the output: the likelihood (or the score of the states), and the recommendation score."""
    found = []
    if model.config.feedback == "likelihood":
        likelihood = model.temporal_encoder.process.log_likelihood(batch.feedback.observed, window="events")
        found.append(reference.standardise("standardise_likelihood", likelihood.detach().numpy()))
    elif model.config.feedback == "classical":
        likelihood = model.classical.log_likelihood(batch.feedback.observed, window="events")
        found.append(reference.standardise("standardise_likelihood", likelihood.detach().numpy()))
    elif model.config.feedback == "state":
        h = model.temporal_encoder.process.hidden_states(batch.feedback.observed).detach().numpy()
        means = [h[row, 1 : 1 + n].mean(axis=0) if n else np.zeros(3) for row, n in enumerate((4, 3, 1, 0))]
        found.append(reference.linear("score_of_state", np.array(means))[:, 0])
    if model.config.recommendation_column is not None:
        score = reference.standardise("standardise_recommendation", batch.tables[0].numeric[:, 1])
        found.append(np.nan_to_num(score))
    return found


def forecast(model: MUFM, batch: Minibatch) -> np.ndarray:
    batch = batch if model.reads_feedback else replace(batch, feedback=None)
    batch = batch if model.reads_tables else replace(batch, tables=None)
    with torch.no_grad():
        return model.forecast(batch).numpy()


WITH_SCORE = replace(CONFIG, recommendation_column="score")
CONFIGS = {
    "as it is": CONFIG,
    "linear head": replace(CONFIG, head="linear"),
    "a recommendation score": WITH_SCORE,
    "inner products": replace(CONFIG, interaction="inner"),
    "noHP": replace(WITH_SCORE, feedback="state"),
    "noMamba": replace(WITH_SCORE, feedback="classical"),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_forward_pass_is_the_papers(config, encoder):
    model, batch = make_model(encoder, config), batch_of(encoder)
    reference = Reference(model)
    expected = reference.predict(batch, scalars(reference, model, batch))
    np.testing.assert_allclose(forecast(model, batch), expected, atol=1e-10)


def test_without_feedback_the_process_is_gone(encoder):
    model, batch = with_random_weights(MUFM(CONFIG, WIDTHS)), batch_of(encoder)
    np.testing.assert_allclose(forecast(model, batch), Reference(model).predict(batch, []), atol=1e-10)
    assert MUFMPredictor(replace(CONFIG, feedback="none"), temporal_encoder=encoder).sees_feedback is False


@pytest.mark.parametrize("config", [WITH_SCORE, replace(WITH_SCORE, feedback="state")], ids=["likelihood", "state"])
def test_a_wrong_weight_would_be_noticed(config, encoder):
    model, batch = make_model(encoder, config), batch_of(encoder)
    reference, found = Reference(model), forecast(model, batch)
    fixed = scalars(reference, model, batch)
    for name, value in reference.weights.items():
        if not name.startswith("temporal_encoder."):
            wrong = Reference(model)
            wrong.weights[name] = value + 1e-2 * np.random.default_rng(0).standard_normal(value.shape)
            changed = wrong.predict(batch, scalars(wrong, model, batch))
            assert np.abs(changed - found).max() > 1e-8, name
    assert np.abs(reference.predict(batch, [values + 0.1 for values in fixed]) - found).max() > 1e-3


def test_the_gradient_reaches_every_parameter_and_of_the_process_only_what_is_trained(encoder):
    for config in (WITH_SCORE, replace(WITH_SCORE, feedback="state")):
        model = make_model(encoder, config)
        model.forecast(batch_of(encoder)).square().sum().backward()
        without_gradient = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert all(name.startswith("temporal_encoder.process.") for name in without_gradient)
        trained = model.get_parameter("temporal_encoder.process.network.widen.weight").grad is not None
        assert trained == (config.feedback == "state")


def test_only_the_order_of_magnitude_of_similarities_is_lost(encoder):
    """Weights are those of similarities mapped to [0, 1], so that a shift or another scale changes nothing."""
    model, batch = make_model(encoder), batch_of(encoder)
    score = batch.neighbourhood.score
    other = replace(batch, neighbourhood=replace(batch.neighbourhood, score=3.0 * score + 5.0))
    np.testing.assert_allclose(forecast(model, other), forecast(model, batch), atol=1e-12)
    swapped = replace(batch, neighbourhood=replace(batch.neighbourhood, score=-score))
    assert np.abs(forecast(model, swapped) - forecast(model, batch)).max() > 1e-3


@pytest.fixture(scope="module")
def world(encoder) -> World:
    """Videos whose first six comments follow the faster, the more popular the video becomes."""
    made, random = make_world(items=120, neighbours=4, circles=12), np.random.default_rng(0)

    def with_feedback(samples: Samples) -> Samples:
        gaps = random.uniform(0.5, 1.0, size=(len(samples), 6)) * (12.0 - samples.target).clip(0.1) / 9.0
        return replace(samples, feedback=feedback_of(encoder, list(np.cumsum(gaps, axis=1))))

    return World(with_feedback(made.train), with_feedback(made.dev), with_feedback(made.test), made.bank, made.noise)


TRAINED = {
    "dim": 8,
    "learning_rate": 1e-2,
    "batch_size": 8,
    "weight_decay": 0.0,
    "gamma": 0.0,
    "patience": 2,
    "averaging": 0.0,
}
TRAINED |= {"precision": "float32", "max_epochs": 2}
SMALL = MUFMConfig(width=12, hidden=12, neighbours=4)


def fitted(world: World, encoder: TemporalEncoder, config: MUFMConfig, **options) -> MUFMPredictor:
    given = {"epochs": 10, "learning_rate": 3e-2, "gamma": 0.0, **options}
    model = MUFMPredictor(config, TrainingOptions(**given), temporal_encoder=encoder)
    model.fit(world.train, world.dev, world.bank)
    return model


def test_it_finds_what_the_likelihood_tells_and_not_without_it(world, encoder, tmp_path):
    blind = replace(SMALL, use_retrieval=False, use_visual=False, use_audio=False)
    model = fitted(world, encoder, blind)
    predicted = model.predict(world.test, world.bank)
    none = fitted(world, encoder, replace(blind, feedback="none")).predict(world.test, world.bank)
    truth = world.test.target[:, 0]
    assert metrics.nmse(truth, predicted[:, 0]) < 0.6 < metrics.nmse(truth, none[:, 0])
    model.save(tmp_path / "model")
    loaded = MUFMPredictor(blind, temporal_encoder=encoder)
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), predicted)
    with pytest.raises(ValueError, match="needs a temporal_encoder"):
        MUFMPredictor(blind).load(tmp_path / "model")


def test_without_mamba_the_likelihood_is_that_of_a_classical_process_fitted_to_the_training_windows(
    world, encoder, tmp_path
):
    config = replace(SMALL, feedback="classical", use_retrieval=False, use_visual=False, use_audio=False)
    model = fitted(world, encoder, config)
    windows = world.train.feedback.observed
    expected = ExponentialHawkes(2)
    fit(expected, windows, windows)
    torch.testing.assert_close(model.network.classical.state_dict(), expected.state_dict())
    other = copy.deepcopy(encoder)
    for weights in other.parameters():  # the Mamba process is not read
        weights.data += 0.1
    again = fitted(world, other, config).predict(world.test, world.bank)
    predicted = model.predict(world.test, world.bank)
    np.testing.assert_array_equal(again, predicted)
    assert metrics.nmse(world.test.target[:, 0], predicted[:, 0]) < 0.9
    model.save(tmp_path / "model")
    loaded = MUFMPredictor(config, temporal_encoder=encoder)
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), predicted)


@pytest.mark.parametrize("feedback", ["likelihood", "state"])
def test_the_process_stays_as_it_was_fitted_unless_its_states_are_scored(feedback, world, encoder):
    before = copy.deepcopy(encoder.state_dict())
    model = fitted(world, encoder, replace(SMALL, feedback=feedback), epochs=2, process_learning_rate=1e-2)
    after = model.network.temporal_encoder.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert bool(changed) == (feedback == "state") and all(name.startswith("process.network.") for name in changed)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_a_recommendation_score_is_learned_from(world, encoder):
    def with_score(samples: Samples) -> Samples:
        return replace(samples, table=Table(samples.target, ("feature_score",)))

    parts = [with_score(part) for part in (world.train, world.dev, world.test)]
    scored = World(
        *parts, replace(world.bank, table=Table(np.zeros((len(world.bank.items), 1)), ("feature_score",))), 0.0
    )
    config = replace(SMALL, recommendation_column="feature_score", feedback="none", use_retrieval=False)
    predicted = fitted(scored, encoder, config).predict(scored.test, scored.bank)
    assert metrics.nmse(scored.test.target[:, 0], predicted[:, 0]) < 0.2
    with pytest.raises(ValueError, match="recommendation_column must be one of feature_score, given 'score'"):
        fitted(scored, encoder, replace(config, recommendation_column="score"))


def test_the_stores_own_score_is_read_where_the_table_has_it(world, encoder):
    def network(name: str, **options: object) -> MUFM:
        settings = {**dict.fromkeys(SHARED), "preset": "default", "options": {"width": 8, "hidden": 8, **options}}
        settings |= {"neighbours": 4, "dropout": 0.0, **TRAINED}
        table = Table(world.train.target, (name,))
        predictor = MUFMPredictor.from_settings(settings, temporal_encoder=encoder)
        return predictor.build(replace(world.train, table=table))

    assert network("recommendation_score").config.recommendation_column == "recommendation_score"
    assert network("another").config.recommendation_column is None
    assert not network("recommendation_score", recommendation_column="").reads_tables  # noSAS
    assert network("another", recommendation_column="another").reads_tables


def test_it_needs_some_content(world, encoder):
    model = MUFMPredictor(SMALL, temporal_encoder=encoder)
    assert model.obstacle(without(world.train, "text", "visual"), world.bank) is None
    found = model.obstacle(without(world.train, "text", "visual", "acoustic"), world.bank)
    assert found == "no training video has frames or sound or words"
