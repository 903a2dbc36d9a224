"""Curated retrieval against plain NumPy; and neighbours that are of no use do no harm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.metrics import nmse
from models.predictors import Rows, Samples, TrainingOptions
from models.predictors.samples import minibatch
from models.predictors.skapp import SKAPP, SKAPPConfig, SKAPPPredictor
from models.predictors.training import joint_loss
from tests.models.predictors.pooled_reference import COLUMNS, WIDTHS, PooledReference, batch_of, randomised
from tests.models.predictors.reference import softmax
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_joint_training import encoder, with_feedback  # noqa: F401, a fixture

CONFIG = SKAPPConfig(width=4, hidden=5)
READ = {**WIDTHS, "temporal": 2}
CONFIGS = [CONFIG, *(replace(CONFIG, **{switch: False}) for switch in ("use_gate", "use_utility", "use_retrieval"))]


def make_network(config: SKAPPConfig = CONFIG) -> SKAPP:
    return randomised(lambda: SKAPP(config, READ, (*COLUMNS, "events"), targets=2))


class Reference(PooledReference):
    def encode(self, batch, video: int, *, neighbours: bool = False) -> np.ndarray:
        total = self.weights["bias"].copy()
        for name, vector in self.pool(batch, video, neighbours=neighbours).items():
            total += self.weights[f"absent.{name}"] if vector is None else self.linear(f"embed.{name}", vector)
        return np.maximum(total, 0.0)

    def results(self, batch) -> np.ndarray:
        """Forecasts of the four windows, and the further loss."""
        forecasts, alone_errors, judgement_errors = [], [], []
        for video in range(4):
            own = self.encode(batch, video)
            alone = self.perceptron("alone", own, last=3)
            truth = self.standardise("standardise_target", batch.label[video].numpy())
            known = ~np.isnan(truth)
            alone_errors += list((alone - truth)[known] ** 2)
            ranks = np.flatnonzero(batch.neighbourhood.mask[video].numpy())
            utility, gate, shifts = [], [], []
            for rank in ranks if self.config.use_retrieval else ():
                other = self.encode(batch, int(batch.neighbourhood.index[video, rank]), neighbours=True)
                label = self.standardise("standardise_target", batch.neighbourhood.label[video, rank].numpy())
                transfer = 1.0 / (1.0 + np.exp(-self.weights["transfer"]))
                candidate = label + transfer * (alone - self.perceptron("alone", other, last=3))
                shift = np.where(np.isnan(label), 0.0, candidate - alone)
                score = batch.neighbourhood.score[video, rank].numpy()
                judged = self.perceptron("judge", np.concatenate([own, other, own * other, [score], shift]), last=3)
                shifts.append(shift)
                utility.append(judged[0])
                gate.append(1.0 / (1.0 + np.exp(-judged[1])))
                shared = known & ~np.isnan(label)
                if shared.any():
                    gain = np.abs(alone - truth) - np.abs(candidate - truth)
                    judgement_errors.append((judged[0] - gain[shared].mean()) ** 2)
            forecast = alone.copy()
            if utility:
                sharp = np.exp(self.weights["sharpness"]) if self.config.use_utility else 0.0
                weights = softmax(np.array(utility) * sharp) * (np.array(gate) if self.config.use_gate else 1.0)
                forecast += weights @ np.array(shifts)
            forecasts.append(self.unstandardise(forecast))
        loss = np.mean(alone_errors) + np.mean(judgement_errors) if judgement_errors else 0.0
        return np.append(np.ravel(forecasts), loss)


def results(network: SKAPP, batch) -> np.ndarray:
    with torch.no_grad():
        further = float(network.further_loss(batch)) if network.config.use_retrieval else 0.0
        return np.append(network.forecast(batch).numpy().ravel(), further)


@pytest.mark.parametrize("config", CONFIGS, ids=["all", "no gate", "no utility", "no retrieval"])
def test_forecast_and_supervision_are_as_written(config):
    network, batch = make_network(config), batch_of()
    np.testing.assert_allclose(results(network, batch), Reference(network).results(batch), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", make_network().state_dict())
def test_a_wrong_weight_would_be_noticed(name):
    network, batch = make_network(), batch_of()
    reference = Reference(network)
    noise = np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    reference.weights[name] = reference.weights[name] + 1e-3 * noise
    assert np.abs(results(network, batch) - reference.results(batch)).max() > 1e-8


def test_the_gradient_reaches_every_parameter():
    network = make_network()
    joint_loss(network, batch_of(), gamma=0.5)[0].backward()
    assert [key for key, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_padding_more_masked_neighbours_and_another_order_change_nothing():
    network, batch = make_network(), batch_of()
    around = batch.neighbourhood
    padded = type(around)(
        **{name: torch.cat([value.flip(1), torch.zeros_like(value[:, :2])], 1) for name, value in vars(around).items()}
    )
    found = results(network, replace(batch_of(extra_rows=2), neighbourhood=padded))
    np.testing.assert_allclose(found, results(network, batch), rtol=1e-12, atol=1e-12)


def test_with_closed_gates_the_forecast_is_that_without_neighbours_and_open_ones_move_it():
    network, batch = make_network(), batch_of()
    alone = make_network(replace(CONFIG, use_retrieval=False))
    alone.load_state_dict({key: value for key, value in network.state_dict().items() if key in alone.state_dict()})
    moved = results(network, batch)[:8]
    with torch.no_grad():
        network.judge[3].bias[1] = -1e9
    np.testing.assert_allclose(results(network, batch)[:8], results(alone, batch)[:8], rtol=1e-12)
    assert np.abs(moved - results(alone, batch)[:8]).max() > 1e-3


@pytest.mark.parametrize("switch", ["use_temporal", "use_retrieval"])
def test_what_a_switch_leaves_out_has_no_influence(switch):
    config = replace(CONFIG, **{switch: False})
    network = randomised(
        lambda: SKAPP(config, {name: READ[name] for name in config.modalities}, (*COLUMNS, "events"), targets=2)
    )
    batch = batch_of()
    if switch == "use_temporal":
        changed = replace(
            batch,
            **{
                part: replace(getattr(batch, part), temporal=3.0 * getattr(batch, part).temporal)
                for part in ("target", "neighbours")
            },
        )
    else:
        changed = replace(batch, neighbourhood=replace(batch.neighbourhood, label=batch.neighbourhood.label + 3.0))
    np.testing.assert_array_equal(results(network, changed), results(network, batch))
    assert np.abs(results(make_network(), changed) - results(make_network(), batch)).max() > 1e-3


def with_useless_neighbours(samples: Samples, world: World, seed: int) -> Samples:
    """The same windows with random videos of the bank as neighbours, which look as similar as the real ones."""
    rng, count = np.random.default_rng(seed), len(world.bank.items)
    index = rng.integers(0, count, samples.neighbourhood.index.shape)
    index = np.where(world.bank.items[index] == samples.items[:, None], (index + 1) % count, index)
    label = world.train.target[index].astype(np.float32)
    return replace(samples, neighbourhood=replace(samples.neighbourhood, index=index, label=label))


def fitted(world: World, **config) -> SKAPPPredictor:
    model = SKAPPPredictor(SKAPPConfig(width=16, hidden=16, **config), TrainingOptions(epochs=25, learning_rate=5e-3))
    model.fit(world.train, world.dev, world.bank)
    return model


def error(model: SKAPPPredictor, world: World) -> float:
    return nmse(world.test.target[:, 0], model.predict(world.test, world.bank)[:, 0])


def trust(model: SKAPPPredictor, world: World) -> float:
    """Mean weight of a window's neighbours together."""
    batch = minibatch(world.test, world.bank, np.arange(len(world.test)), with_feedback=False)
    with torch.no_grad():
        return float(model.network.curate(batch).weight.sum(1).mean())


def test_useless_neighbours_do_no_harm_where_the_average_of_their_labels_is_worse_than_nothing():
    world = make_world(items=300, neighbours=4, circles=12)
    parts = [
        with_useless_neighbours(part, world, seed) for seed, part in enumerate((world.train, world.dev, world.test))
    ]
    useless = World(*parts, world.bank, world.noise)
    average = nmse(useless.test.target[:, 0], useless.test.neighbourhood.label[:, :, 0].mean(1))
    without, model = error(fitted(useless, use_retrieval=False), useless), fitted(useless)
    assert error(model, useless) < without + 0.05 < 0.3 < 1.0 < average
    assert trust(model, useless) < 0.3


def test_useful_neighbours_help_and_a_saved_model_forecasts_the_same(tmp_path):
    """Without the text only the labels of a circle's other videos tell the circle's taste."""
    world = make_world(items=300, neighbours=4, circles=60)
    model = fitted(world, use_text=False)
    assert error(model, world) < error(fitted(world, use_text=False, use_retrieval=False), world) - 0.1
    assert trust(model, world) > 0.4
    model.save(tmp_path)
    loaded = SKAPPPredictor()
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(world.test, world.bank), model.predict(world.test, world.bank))


def test_a_process_inside_makes_the_temporal_rows_and_stays_as_it_was_fitted(encoder, tmp_path):  # noqa: F811
    world = with_feedback(make_world(items=60, neighbours=3, circles=6), encoder)
    model = SKAPPPredictor(SKAPPConfig(width=8, hidden=8), TrainingOptions(epochs=2), temporal_encoder=encoder)
    model.fit(world.train, world.dev, world.bank)
    for name, value in encoder.state_dict().items():
        assert torch.equal(model.network.temporal_encoder.state_dict()[name], value), name
    predicted, test = model.predict(world.test, world.bank), world.test
    # the stored rows may know more than the window does
    rows = Rows(3.0 * test.features.temporal.values, test.features.temporal.mask)
    same = model.predict(replace(test, features=replace(test.features, temporal=rows)), world.bank)
    np.testing.assert_array_equal(same, predicted)
    other = replace(test, feedback=test.feedback.take(torch.arange(len(test)).flip(0)))
    assert np.abs(model.predict(other, world.bank) - predicted).max() > 1e-3
    model.save(tmp_path)
    loaded = SKAPPPredictor(temporal_encoder=encoder)
    loaded.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(test, world.bank), predicted)
    with pytest.raises(ValueError, match="needs a temporal_encoder"):
        SKAPPPredictor().load(tmp_path)
