"""The joint loss, and what the process keeps while it learns inside the predictor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.hawkes import MambaHawkesProcess
from models.predictors import M3TR, Feedback, M3TRConfig, M3TRPredictor, Rows, Samples, TrainingOptions
from models.predictors.samples import minibatch
from models.predictors.training import joint_loss
from models.temporal import TemporalEncoder
from tests.models.predictors.reference import Reference
from tests.models.predictors.synthetic import World, make_world

SMALL = M3TRConfig(width=8, hidden=8, neighbours=3)


@pytest.fixture(scope="module")
def encoder() -> TemporalEncoder:
    torch.manual_seed(0)
    process = MambaHawkesProcess(4, hidden=6, state=2)
    process.time_scale.fill_(0.5)
    process.baseline.data.fill_(-1.0)
    process.excitation.branching.data.uniform_(0.0, 0.3)
    process.excitation.branching.data[torch.rand(4, 4) < 0.5] = 0.0
    return TemporalEncoder(process.eval(), length=8)


def with_feedback(made: World, encoder: TemporalEncoder) -> World:
    """The same world, whose temporal rows a process makes of random feedback."""

    def part(samples: Samples, seed: int) -> Samples:
        rng = np.random.default_rng(seed)
        times = [np.sort(rng.uniform(0, 5, rng.integers(0, 12))) for _ in range(len(samples))]
        types = [rng.integers(0, 4, len(at)) for at in times]
        observed = EventBatch.from_sequences(times, types, t_end=[5.0] * len(times))
        completed = encoder.complete(observed, seeds=range(len(times)))
        with torch.no_grad():
            rows, mask = encoder(completed)
        features = replace(samples.features, temporal=Rows(rows.numpy(), mask.numpy()))
        return replace(samples, features=features, feedback=Feedback(observed, completed))

    train_part, dev, test = (part(samples, seed) for seed, samples in enumerate((made.train, made.dev, made.test)))
    return World(train_part, dev, test, replace(made.bank, features=train_part.features), made.noise)


@pytest.fixture(scope="module")
def world(encoder) -> World:
    return with_feedback(make_world(items=60, neighbours=3, circles=6), encoder)


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_the_joint_loss_is_its_parts(world, encoder, gamma):
    """L_pred over the training variance, the negative log-likelihood per event, and their weighted sum (section 3.4)."""
    torch.manual_seed(1)
    model = M3TR(SMALL, world.train.features.widths, temporal_encoder=encoder).eval()
    model.standardise_target.fit(world.train.target)
    batch = minibatch(world.train, world.bank, np.arange(7), with_feedback=True)
    with torch.no_grad():
        loss, prediction_loss, process_loss = (float(part) for part in joint_loss(model, batch, gamma=gamma))
        likelihood = encoder.process.log_likelihood(batch.feedback.observed).numpy()
        target = batch.target.with_temporal(*encoder(batch.completed))
    predicted = Reference(model).predict(target, batch.neighbours, batch.neighbourhood)
    expected = np.mean((predicted[:, 0] - world.train.target[:7, 0]) ** 2) / np.var(world.train.target)
    assert prediction_loss == pytest.approx(expected, rel=1e-4)
    events = int(batch.feedback.observed.lengths.sum())
    assert process_loss == pytest.approx(-likelihood.sum() / events if gamma else 0.0, rel=1e-5)
    assert loss == pytest.approx(prediction_loss + gamma * process_loss, rel=1e-6)


def fitted(world: World, encoder: TemporalEncoder, **options) -> M3TRPredictor:
    given = {"epochs": 4, "batch_size": 16, "gamma": 0.5, "process_learning_rate": 0.02}
    made = M3TRPredictor(SMALL, TrainingOptions(**given | options), temporal_encoder=encoder)
    made.fit(world.train, None, world.bank)
    return made


@pytest.mark.parametrize("penalty", [None, "mcp", "scad"])
def test_the_process_stays_valid_while_it_learns(world, encoder, penalty):
    before = encoder.process.excitation.branching.detach().clone()
    process = fitted(world, encoder, penalty=penalty, max_branching=0.4).network.temporal_encoder.process
    after = process.excitation.branching.detach()
    assert not torch.equal(after, before)
    assert bool((after >= 0).all())
    assert process.branching_ratio() <= 0.4 + 1e-6
    assert torch.equal(encoder.process.excitation.branching.detach(), before)  # a copy learns


class Watched(TemporalEncoder):
    """An encoder that looks at its process after every step of a training."""

    def constrain_(self, optimiser, *, penalty, strength, max_branching):
        before = self.process.excitation.branching.detach().clone()
        super().constrain_(optimiser, penalty=penalty, strength=strength, max_branching=max_branching)
        after = self.process.excitation.branching.detach()
        SEEN.append((float(before.min()), float(after.min()), self.process.branching_ratio(), int((after == 0).sum())))


SEEN: list[tuple[float, float, float, int]] = []


@pytest.mark.parametrize("penalty", [None, "scad"])
def test_every_step_ends_with_a_valid_process(world, encoder, penalty):
    """The optimiser's own steps leave the feasible set, so that the projection has something to do."""
    SEEN.clear()
    watched = Watched(encoder.process, length=encoder.length)
    fitted(world, watched, penalty=penalty, max_branching=0.4, process_learning_rate=0.05)
    steps = np.array(SEEN)
    assert len(steps) == 12  # four epochs of three batches
    assert steps[:, 0].min() < 0
    assert steps[:, 1].min() >= 0
    assert steps[:, 2].max() <= 0.4 + 1e-6
    zeros = int((encoder.process.excitation.branching == 0).sum())
    assert penalty is None or steps[:, 3].min() >= zeros


def test_with_a_penalty_influences_that_were_zero_stay_zero(world, encoder, tmp_path):
    """However weak the penalty is; also in the model that is saved. Without a penalty they may grow."""
    was_zero = encoder.process.excitation.branching == 0
    model = fitted(world, encoder, penalty="mcp", penalty_strength=1e-9)
    model.save(tmp_path)
    loaded = M3TRPredictor(SMALL, temporal_encoder=encoder)
    loaded.load(tmp_path)
    for made in (model, loaded):
        assert bool((made.network.temporal_encoder.process.excitation.branching[was_zero] == 0).all())
    free = fitted(world, encoder, penalty=None).network.temporal_encoder.process.excitation.branching
    assert bool((free[was_zero] > 0).any())


def test_models_that_are_loaded_with_one_encoder_have_a_process_each(world, encoder, tmp_path):
    """Otherwise the last one that is loaded changes the process of the others, and the one that completes windows."""
    before = encoder.process.excitation.branching.detach().clone()
    trained = [fitted(world, encoder, epochs=1, process_learning_rate=rate) for rate in (0.01, 0.05)]
    loaded = []
    for number, model in enumerate(trained):
        model.save(tmp_path / str(number))
        loaded.append(M3TRPredictor(SMALL, temporal_encoder=encoder))
        loaded[-1].load(tmp_path / str(number))
    assert torch.equal(encoder.process.excitation.branching.detach(), before)
    for model, again in zip(trained, loaded, strict=True):
        np.testing.assert_array_equal(again.predict(world.dev, world.bank), model.predict(world.dev, world.bank))


def test_a_penalty_makes_exact_zeros(world, encoder):
    none, strong = (
        fitted(
            world, encoder, penalty="mcp", penalty_strength=strength
        ).network.temporal_encoder.process.excitation.branching
        for strength in (1e-9, 20.0)
    )
    before = int((encoder.process.excitation.branching == 0).sum())
    assert int((strong == 0).sum()) > max(before, int((none == 0).sum()))


def test_with_gamma_0_the_process_stays_as_it_was_fitted(world, encoder):
    made = fitted(world, encoder, gamma=0.0)
    for name, value in encoder.state_dict().items():
        assert torch.equal(made.network.temporal_encoder.state_dict()[name], value), name
    assert np.isfinite(made.predict(world.dev, world.bank)).all()


def test_without_temporal_rows_no_feedback_is_needed(world, encoder):
    silent, dev = replace(world.train, feedback=None), replace(world.dev, feedback=None)
    config = replace(SMALL, use_temporal=False)
    options = TrainingOptions(epochs=1)
    made = M3TRPredictor(config, options, temporal_encoder=encoder)
    report = made.fit(silent, dev, world.bank)
    assert made.network.temporal_encoder is None and report.epochs[0].further_loss is None
    with pytest.raises(ValueError, match="needs the feedback of the training items"):
        M3TRPredictor(SMALL, options, temporal_encoder=encoder).fit(silent, dev, world.bank)
