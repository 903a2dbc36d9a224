"""The forward passes of CBAN and CLSTM against plain NumPy, and what they learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import metrics
from models.predictors import TrainingOptions
from models.predictors.cban import CBAN, CBANConfig, CBANPredictor
from models.predictors.clstm import CLSTM, CLSTMConfig, CLSTMPredictor
from models.predictors.content_network import ContentNetwork
from models.predictors.features import VideoBatch
from models.predictors.neural_predictor import NeuralPredictor
from tests.models.predictors.reference import softmax
from tests.models.predictors.retrieved_reference import ContentReference
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_m3tr import WIDTHS, hood, videos
from tests.models.predictors.test_mmra import batch_of, padded, with_random_weights, without

NETWORKS = {"CBAN": CBAN(CBANConfig(width=4), WIDTHS, targets=2), "CLSTM": CLSTM(CLSTMConfig(4, 3), WIDTHS, targets=2)}
PREDICTORS = (CBANPredictor, CLSTMPredictor)


def model_of(name: str) -> ContentNetwork:
    return with_random_weights(NETWORKS[name])


def forecast(model: ContentNetwork, target: VideoBatch) -> np.ndarray:
    with torch.no_grad():
        return model.forecast(batch_of(target, videos(5, 1), hood())).numpy()


def cban(reference: ContentReference, target: VideoBatch, video: int) -> np.ndarray:
    rows = {name: values[mask] for name, (values, mask) in reference.sequences(target, video).items()}
    x = {name: np.tanh(reference.linear(f"embedding.{name}", values)) for name, values in rows.items()}
    vectors = []
    for number, (name, other) in enumerate((("c", "t"), ("t", "c"))):
        enriched = []
        for row in x[name]:
            found = [np.zeros(4), np.zeros(4)]
            if len(x[other]):
                found = [softmax(sign * x[other] @ row) @ x[other] for sign in (1.0, -1.0)]
            attended = np.tanh(reference.linear(f"attended.{name}", np.concatenate(found)))
            enriched.append(np.tanh(reference.linear(f"enriched.{name}", np.concatenate([row, attended]))))
        if not enriched:
            vectors.append(reference.weights["absent"][number])
            continue
        h = np.array(enriched)
        vectors.append(softmax(h @ reference.weights[f"pool.{name}.context"] / 2.0) @ h)
    return reference.linear("head", np.concatenate(vectors))


def sigma(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def clstm(reference: ContentReference, target: VideoBatch, video: int) -> np.ndarray:
    sequences = {name: values[mask] for name, (values, mask) in reference.sequences(target, video).items()}
    words = sequences["t"].mean(axis=0) if len(sequences["t"]) else np.zeros(WIDTHS.text)
    h = c = np.zeros(4)
    w_h, w_e, w_c = (reference.weights[name] for name in ("of_state.weight", "of_words.weight", "peepholes"))
    for row in sequences["c"]:
        i, f, new, o = np.split(reference.linear("of_rows", row) + w_h @ h + w_e @ words, 4)
        c = sigma(f + w_c[1] * c) * c + sigma(i + w_c[0] * c) * np.tanh(new)
        h = sigma(o + w_c[2] * c) * np.tanh(c)
    last = h if len(sequences["c"]) else reference.weights["absent"]
    return reference.linear("head.4", np.maximum(reference.linear("head.1", last), 0.0))


def expected(reference: ContentReference, name: str, target: VideoBatch) -> np.ndarray:
    each = {"CBAN": cban, "CLSTM": clstm}[name]
    return reference.on_the_targets_scale(np.array([each(reference, target, video) for video in range(len(target))]))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_forward_pass_is_the_papers(name):
    model, target = model_of(name), videos(6, 0)
    np.testing.assert_allclose(forecast(model, target), expected(ContentReference(model), name, target), atol=1e-10)


@pytest.mark.parametrize(
    ("name", "weight"), [(name, weight) for name in NETWORKS for weight in NETWORKS[name].state_dict()]
)
def test_a_wrong_weight_would_be_noticed(name, weight):
    model, target = model_of(name), videos(6, 0)
    reference = ContentReference(model)
    reference.weights[weight] += 1e-2 * np.random.default_rng(0).standard_normal(reference.weights[weight].shape)
    assert np.abs(expected(reference, name, target) - forecast(model, target)).max() > 1e-8


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_reaches_every_parameter_and_padding_changes_nothing(name):
    model, target = model_of(name), videos(6, 0)
    model.forecast(batch_of(target, videos(5, 1), hood())).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    model.zero_grad(set_to_none=True)
    np.testing.assert_allclose(forecast(model, padded(target)), forecast(model, target), atol=1e-12)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(items=120, neighbours=4, circles=12)


def fitted(world: World, predictor: type[NeuralPredictor]) -> NeuralPredictor:
    model = predictor(predictor.config_class(width=12), TrainingOptions(epochs=10, learning_rate=6e-3))
    model.fit(world.train, world.dev, world.bank)
    return model


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_it_finds_what_frames_and_words_tell_and_not_without_them(predictor, world, tmp_path):
    model = fitted(world, predictor)
    predicted = model.predict(world.test, world.bank)
    blind = replace(
        world,
        **{part: without(getattr(world, part), "visual", "acoustic", "text") for part in ("train", "dev", "test")},
    )
    unseeing = fitted(blind, predictor).predict(blind.test, world.bank)
    truth = world.test.target[:, 0]
    assert metrics.nmse(truth, predicted[:, 0]) < 0.75 < metrics.nmse(truth, unseeing[:, 0])
    model.save(tmp_path / "model")
    loaded = predictor()
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), predicted)


def test_obstacles_name_what_no_training_video_has(world):
    assert [predictor().obstacle(world.train, world.bank) for predictor in PREDICTORS] == [None, None]
    wordless, blind = without(world.train, "text"), without(world.train, "visual", "acoustic")
    assert CBANPredictor().obstacle(wordless, world.bank).endswith("no training video has words")
    assert CLSTMPredictor().obstacle(wordless, world.bank) is None
    for predictor in PREDICTORS:
        assert predictor().obstacle(blind, world.bank).endswith("no training video has frames or sound")


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_a_wrong_option_is_refused(predictor):
    for wrong, message in (({"width": 0}, "width must be at least 1"), ({"dropout": 1.0}, "dropout must lie in")):
        with pytest.raises(ValueError, match=message):
            predictor.check_options(wrong)
