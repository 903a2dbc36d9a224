"""What holds for every network over pooled content: gradients, padding, switches, missing modalities, learning, files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.metrics import nmse
from models.predictor_table import predictor_class
from models.predictors import Rows, Samples, Table, TrainingOptions
from models.predictors.pooled_content import SWITCHES, ContentConfig
from models.predictors.pooled_network import PooledNetwork, PooledPredictor
from models.predictors.training import joint_loss
from tests.models.predictors.pooled_reference import COLUMNS, WIDTHS, batch_of, randomised, table_of
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_own_options import SETTINGS

NAMES = ("hmmved", "massl", "att_mlp", "mlp")


def network_of(name: str, config: ContentConfig | None = None) -> PooledNetwork:
    """A small network of two targets with all modalities that its config reads."""
    made = predictor_class(name)
    config = config or made.config_class()
    table = table_of(4, 1)
    widths = {modality: WIDTHS[modality] for modality in config.modalities}
    authors = {"authors": ["a", "b"], "statistics": COLUMNS[1:]} if name == "hmmved" else {}
    return randomised(lambda: made.network_class(config, widths, config.columns(table), targets=2, **authors))


def results(network: PooledNetwork, batch) -> np.ndarray:
    with torch.no_grad():
        torch.manual_seed(3)
        losses = joint_loss(network, batch, gamma=network.further_weight(TrainingOptions()))
        return np.append(network.forecast(batch).numpy().ravel(), [float(loss) for loss in losses])


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_reaches_every_parameter_that_the_loop_trains(name):
    network = network_of(name)
    joint_loss(network, batch_of(), gamma=network.further_weight(TrainingOptions()))[0].backward()
    trained = {key: value for key, value in network.named_parameters() if not key.startswith("prior.")}
    assert [key for key, value in trained.items() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name):
    network = network_of(name)
    np.testing.assert_allclose(
        results(network, batch_of(extra_rows=3)), results(network, batch_of()), rtol=1e-12, atol=1e-12
    )


def change_part(batch, part: str):
    """The batch with other values in one of its inputs."""
    if part in WIDTHS:
        return replace(batch, target=replace(batch.target, **{part: 3.0 * getattr(batch.target, part)}))
    columns = [
        column for column, name in enumerate(batch.tables[0].numeric_names) if (name == "events") == (part == "counts")
    ]
    numbers = batch.tables[0].numeric.copy()
    numbers[:, columns] *= 3.0
    return replace(batch, tables=(replace(batch.tables[0], numeric=numbers), batch.tables[1]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [*SWITCHES, "counts"])
def test_what_a_switch_leaves_out_has_no_influence(name, part):
    switch = {**SWITCHES, "counts": "use_counts"}[part]
    extra = {"use_authors": False} if name == "hmmved" else {}
    everything = replace(predictor_class(name).config_class(), use_counts=True, **extra)
    batch, changed = batch_of(), change_part(batch_of(), part)
    full = network_of(name, everything)
    assert np.abs(results(full, changed) - results(full, batch))[:-3].max() > 1e-6
    without = replace(everything, **{switch: False})
    if name == "hmmved":  # the prior reads statistics of authors, so it is left out here
        widths = {modality: WIDTHS[modality] for modality in without.modalities}
        columns = without.columns(table_of(4, 1))
        made = randomised(lambda: predictor_class(name).network_class(without, widths, columns, targets=2))
    else:
        made = network_of(name, without)
    np.testing.assert_array_equal(results(made, changed), results(made, batch))


@pytest.fixture(scope="module")
def world() -> World:
    """Two targets, known from content; the second is unknown for half of the items."""
    world = make_world(items=200, neighbours=4, circles=6)

    def with_more(samples: Samples, seed: int) -> Samples:
        rng = np.random.default_rng(seed)
        second = np.where(rng.random(len(samples)) < 0.5, np.nan, -samples.target[:, 0])
        authors = rng.choice(np.array(["a", "b", ""], object), (len(samples), 1))
        table = Table(rng.normal(size=(len(samples), 2)), ("duration", "author_followers"), authors, ("author",))
        return replace(samples, target=np.column_stack([samples.target[:, 0], second]), table=table)

    parts = [with_more(part, seed) for seed, part in enumerate((world.train, world.dev, world.test))]
    return World(*parts, replace(world.bank, table=parts[0].table), world.noise)


def fitted(name: str, world: World, *, epochs: int = 1, **config) -> PooledPredictor:
    made = predictor_class(name)
    model = made(made.config_class(**config), TrainingOptions(epochs=epochs, learning_rate=5e-3, batch_size=32))
    model.fit(world.train, world.dev, world.bank)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_it_finds_what_content_tells_in_both_targets_and_a_saved_model_forecasts_the_same(name, world, tmp_path):
    model = fitted(name, world, epochs=10)
    predicted = model.predict(world.test, world.bank)
    blind = fitted(name, world, epochs=3, use_visual=False, use_audio=False, use_text=False).predict(
        world.test, world.bank
    )
    for column in range(2):
        known = ~np.isnan(world.test.target[:, column])
        target = world.test.target[known, column]
        assert nmse(target, predicted[known, column]) < 0.75 < 0.9 < nmse(target, blind[known, column])
    model.save(tmp_path)
    loaded = predictor_class(name)()
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), predicted)


@pytest.mark.parametrize("name", NAMES)
def test_windows_without_table_or_content_get_a_forecast(name, world):
    def silent(samples: Samples) -> Samples:
        features = samples.features
        return replace(samples, table=None, features=replace(features, acoustic=without_rows(features.acoustic)))

    parts = [silent(part) for part in (world.train, world.dev, world.test)]
    model = fitted(name, World(*parts, world.bank, 0.0))
    features = parts[2].features
    nothing = replace(features, **{part: without_rows(getattr(features, part)) for part in ("visual", "text")})
    forecasts = model.predict(replace(parts[2], features=nothing), world.bank)
    assert np.isfinite(forecasts).all() and np.ptp(forecasts[:, 0]) == 0


def without_rows(rows: Rows) -> Rows:
    return Rows(rows.values, np.zeros_like(rows.mask))


@pytest.mark.parametrize("name", NAMES)
def test_videos_without_anything_to_read_are_an_obstacle(name, world):
    features = world.train.features
    nothing = replace(features, **{part: without_rows(getattr(features, part)) for part in WIDTHS})
    model, empty = predictor_class(name)(), replace(world.train, features=nothing, table=None)
    assert model.obstacle(world.train, world.bank) is None
    assert model.obstacle(empty, world.bank) == (
        "no training video has any of what it reads: visual, acoustic, text, metadata"
    )


@pytest.mark.parametrize("name", NAMES)
def test_its_options_are_checked_and_say_whether_the_table_is_read(name):
    made: Callable = predictor_class(name)
    assert made.reads_table(SETTINGS)
    off = {"use_metadata": False} | ({"use_authors": False} if name == "hmmved" else {})
    assert not made.reads_table({**SETTINGS, "options": off})
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\), given 1"):
        made.check_options({"dropout": 1.0})
    with pytest.raises(ValueError, match="at least one of use_visual"):
        made.check_options({**dict.fromkeys(SWITCHES.values(), False)})
    size = "first" if name == "mlp" else "hidden"
    with pytest.raises(ValueError, match=f"{size} must be at least 1, given 0"):
        made.check_options({size: 0})


def test_counts_are_read_only_if_wanted():
    table, config = table_of(4, 1), ContentConfig()
    assert config.columns(table) == COLUMNS
    assert replace(config, use_counts=True).columns(table) == (*COLUMNS, "events")
    assert replace(config, use_counts=True, use_metadata=False).columns(table) == ("events",)
    assert not predictor_class("massl")().sees_feedback
    assert predictor_class("massl")(predictor_class("massl").config_class(use_counts=True)).sees_feedback


def test_a_table_without_a_column_of_the_training_is_refused(world):
    model = fitted("att_mlp", world)
    other = replace(world.test, table=Table(np.zeros((len(world.test), 1)), ("duration",)))
    with pytest.raises(ValueError, match="lacks columns that the model was trained with: author_followers"):
        model.predict(other, world.bank)
