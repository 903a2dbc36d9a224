"""MMRA's forward pass against plain NumPy, its ablations, and what it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models import metrics
from models.predictors import Rows, Samples, TrainingOptions
from models.predictors.features import NeighbourBatch, VideoBatch
from models.predictors.mmra import MMRA, MMRAConfig, MMRAPredictor
from models.predictors.samples import Minibatch
from tests.models.predictors.retrieved_reference import RetrievedReference
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_m3tr import WIDTHS, hood, videos

CONFIG = MMRAConfig(width=4, hidden=5, alpha=0.7, neighbours=3)
SWITCHES = [name for name in MMRAConfig.__dataclass_fields__ if name.startswith("use_")]


def batch_of(target: VideoBatch, neighbours: VideoBatch, around: NeighbourBatch) -> Minibatch:
    return Minibatch(target=target, neighbours=neighbours, neighbourhood=around, label=None, feedback=None)


def with_random_weights(network: torch.nn.Module) -> torch.nn.Module:
    """The network in float64, with weights that its initialisation would leave at zero too; a process keeps its own."""
    torch.manual_seed(0)
    network = network.double().eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if not name.startswith(("temporal_encoder.", "classical.")):
                value.copy_(torch.rand_like(value) + 0.5 if name.endswith("scale") else 0.7 * torch.randn_like(value))
    return network


def make_model(config: MMRAConfig = CONFIG, *, targets: int = 1) -> MMRA:
    return with_random_weights(MMRA(config, WIDTHS, targets=targets))


def forecast(model: MMRA, *parts: VideoBatch | NeighbourBatch) -> np.ndarray:
    with torch.no_grad():
        return model.forecast(batch_of(*parts)).numpy()


def expected(reference: RetrievedReference, target: VideoBatch, neighbours: VideoBatch, around: NeighbourBatch):
    found = []
    for video in range(len(target)):
        h = reference.content(target, neighbours, around, video)
        for layer in range(0, 6 if reference.config.second_hidden else 3, 3):
            h = np.maximum(reference.linear(f"head.{layer}", h), 0.0)
        found.append(reference.linear(f"head.{layer + 3}", h))
    return reference.on_the_targets_scale(np.array(found))


CONFIGS = {
    "as it is": CONFIG,
    "element-wise products": replace(CONFIG, interaction="product"),
    "separate weights": replace(CONFIG, share=False),
    "two hidden layers": replace(CONFIG, second_hidden=3),
    "temperature": replace(CONFIG, temperature=0.2),
    "fewer neighbours": replace(CONFIG, neighbours=2),
    "without attention": replace(CONFIG, use_positive=False, use_negative=False),
    "text alone": replace(CONFIG, use_visual=False, use_audio=False, interaction="product"),
    **{switch: replace(CONFIG, **{switch: False}) for switch in SWITCHES},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_forward_pass_is_the_papers(config):
    model, parts = make_model(config), (videos(4, 0), videos(5, 1), hood())
    np.testing.assert_allclose(forecast(model, *parts), expected(RetrievedReference(model), *parts), atol=1e-10)


def test_the_forward_pass_with_unknown_labels_is_the_papers():
    model, around = make_model(targets=2), hood()
    label = torch.cat([around.label, -around.label], -1)
    label[0, 1, 1] = label[1, 0] = torch.nan
    parts = (videos(4, 0), videos(5, 1), replace(around, label=label))
    found = forecast(model, *parts)
    assert found.shape == (4, 2)
    np.testing.assert_allclose(found, expected(RetrievedReference(model), *parts), atol=1e-10)


@pytest.mark.parametrize("name", make_model(replace(CONFIG, share=False)).state_dict())
def test_a_wrong_weight_would_be_noticed(name):
    model = make_model(replace(CONFIG, share=False))
    reference, parts = RetrievedReference(model), (videos(4, 0), videos(5, 1), hood())
    reference.weights[name] += 1e-2 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    assert np.abs(expected(reference, *parts) - forecast(model, *parts)).max() > 1e-8


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, share=False, interaction="product", second_hidden=3)])
def test_the_gradient_reaches_every_parameter(config):
    model = make_model(config, targets=2)
    around = hood()
    label = torch.cat([around.label, -around.label], -1)
    label[0, 1, 1] = label[1, 0] = torch.nan
    model.forecast(batch_of(videos(4, 0), videos(5, 1), replace(around, label=label))).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("switch", SWITCHES)
def test_what_a_switch_takes_away_has_no_influence(switch):
    model = make_model(replace(CONFIG, **{switch: False}))
    target, neighbours, around = parts = videos(4, 0), videos(5, 1), hood()
    part = {"use_visual": "visual", "use_audio": "acoustic", "use_text": "text"}.get(switch)
    if part is not None:
        target, neighbours = (replace(v, **{part: 9 * getattr(v, part)}) for v in (target, neighbours))
    elif switch == "use_retrieval":
        neighbours, around = videos(5, 7), replace(around, label=around.label + 5, score=9 * around.score)
    else:
        assert len(model.content.encoder.attention.query) == 1
        return
    changed = forecast(model, target, neighbours, around)
    np.testing.assert_array_equal(changed, forecast(model, *parts))
    full = make_model()
    assert np.abs(forecast(full, target, neighbours, around) - forecast(full, *parts)).max() > 1e-3


def padded(batch: VideoBatch) -> VideoBatch:
    """The same videos with two more masked rows, of any value, per modality."""
    return VideoBatch(
        **{
            name: torch.cat([value, torch.full_like(value[:, :2], 0 if name.endswith("mask") else 3)], 1)
            for name, value in vars(batch).items()
        }
    )


def test_padding_and_the_order_of_neighbours_change_nothing():
    model, target, neighbours, around = make_model(), videos(4, 0), videos(5, 1), hood()

    order = torch.tensor([2, 0, 1])
    shuffled = NeighbourBatch(**{name: value[:, order] for name, value in vars(around).items()})
    found = forecast(model, target, neighbours, around)
    np.testing.assert_allclose(forecast(model, padded(target), padded(neighbours), around), found, atol=1e-12)
    np.testing.assert_allclose(forecast(model, target, neighbours, shuffled), found, atol=1e-12)


def test_a_batch_without_any_neighbour_gets_a_forecast():
    model, target = make_model(), videos(4, 0)
    alone = replace(hood(), mask=torch.zeros(4, 3).bool(), index=torch.zeros(4, 3).long())
    parts = (target, videos(0, 1), alone)
    found = forecast(model, *parts)
    reference = expected(RetrievedReference(model), target, videos(1, 1), alone)
    np.testing.assert_allclose(found, reference, atol=1e-10)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(items=120, neighbours=4, circles=12)


def fitted(world: World, config: MMRAConfig, **options) -> MMRAPredictor:
    model = MMRAPredictor(config, TrainingOptions(**{"epochs": 12, "learning_rate": 6e-3, **options}))
    model.fit(world.train, world.dev, world.bank)
    return model


SMALL = MMRAConfig(width=12, hidden=12, neighbours=4)


def test_it_finds_what_frames_and_neighbours_tell_and_not_without_them(world, tmp_path):
    model = fitted(world, SMALL)
    predicted = model.predict(world.test, world.bank)
    blind = fitted(world, replace(SMALL, use_retrieval=False, use_visual=False, use_audio=False))
    seeing, unseeing = (
        metrics.nmse(world.test.target[:, 0], of[:, 0]) for of in (predicted, blind.predict(world.test, world.bank))
    )
    assert seeing < 0.7 < unseeing
    model.save(tmp_path / "model")
    loaded = MMRAPredictor(SMALL)
    loaded.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), predicted)


def test_more_neighbours_than_were_retrieved_are_refused(world):
    with pytest.raises(ValueError, match=r"neighbours must be at most retrieval\.neighbours, the 4 videos"):
        fitted(world, replace(SMALL, neighbours=5))


def without(samples: Samples, *names: str) -> Samples:
    """The same windows, none of which has these modalities."""
    features = samples.features
    gone = {name: Rows(rows.values, np.zeros_like(rows.mask)) for name in names if (rows := getattr(features, name))}
    return replace(samples, features=replace(features, **gone))


def test_attention_between_two_sequences_needs_both(world):
    model = MMRAPredictor(SMALL)
    assert model.obstacle(world.train, world.bank) is None
    assert model.obstacle(without(world.train, "visual"), world.bank) is None  # sound is left
    assert model.obstacle(without(world.train, "text"), world.bank).endswith("no training video has words")
    silent = without(world.train, "visual", "acoustic")
    assert model.obstacle(silent, world.bank).endswith("no training video has frames or sound")
    paper = MMRAPredictor(replace(SMALL, use_audio=False))
    assert paper.obstacle(without(world.train, "visual"), world.bank).endswith("no training video has frames")
    words = MMRAPredictor(replace(SMALL, use_audio=False, use_visual=False))
    assert words.obstacle(silent, world.bank) is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": 2.0}, "alpha must lie in"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"interaction": "outer"}, "interaction must be one of 'inner', 'product'"),
        ({"second_hidden": -1}, "second_hidden must be at least 0"),
        ({"use_visual": False, "use_audio": False, "use_text": False}, "at least one of use_visual"),
    ],
)
def test_a_wrong_option_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MMRAPredictor.check_options(wrong)
