"""Two processes that train one network together give the network that one process gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import models.predictors.hmmved
import models.predictors.massl
from models.predictors import M3TRConfig, M3TRPredictor, TrainingOptions
from models.predictors.checkpoints import Checkpoint
from models.predictors.hmmved import HMMVEDConfig, HMMVEDPredictor
from models.predictors.massl import MASSLConfig, MASSLPredictor
from models.predictors.neural_predictor import NeuralPredictor
from models.predictors.ranks import Ranks, SingleProcess
from models.predictors.skapp import SKAPPConfig, SKAPPPredictor
from models.predictors.training_report import TrainingReport
from models.predictors.ttc_vlt import TTCVLTConfig, TTCVLTPredictor
from tests.models.predictors.posts_world import bank_of, make_posts, samples_of, split
from tests.models.predictors.ranks import kill_this_process, on_ranks
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.tabular import tabular_world
from tests.models.predictors.test_joint_training import encoder, with_feedback  # noqa: F401, a fixture

OPTIONS = TrainingOptions(epochs=3, batch_size=16, learning_rate=0.01, gamma=0.3, penalty="mcp")
ROUNDING = 2e-5  # float32 sums in another order

Fitted = tuple[TrainingReport, dict[str, torch.Tensor]]


@pytest.fixture(autouse=True)
def _one_thread():
    """As in the processes, so that one process computes the same sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def world(encoder) -> World:  # noqa: F811
    return with_feedback(make_world(items=60, neighbours=3, circles=6), encoder)


def fit(model: NeuralPredictor, world: World, **arguments) -> Fitted:
    report = model.fit(world.train, world.dev, world.bank, seed=2, **arguments)
    return report, {name: value.clone() for name, value in model.network.state_dict().items()}


def compare(folder: Path, make: Callable[[], NeuralPredictor], world: World, *, rounding: float = ROUNDING) -> Fitted:
    """The fit in two processes, after it was compared with that in one."""
    alone = fit(make(), world)
    first, second = on_ranks(folder, 2, lambda _: fit(make(), world, ranks=Ranks("cpu")))
    assert [epoch.dev_nmse for epoch in first[0].epochs] == [epoch.dev_nmse for epoch in second[0].epochs]
    assert all(torch.equal(first[1][name], second[1][name]) for name in alone[1])
    assert len(first[0].epochs) == len(alone[0].epochs)
    for ours, theirs in zip(first[0].epochs, alone[0].epochs, strict=True):
        for name in ("loss", "prediction_loss", "further_loss", "dev_nmse"):
            expected = getattr(theirs, name)
            assert getattr(ours, name) == (expected and pytest.approx(expected, rel=rounding)), name
    for name, value in alone[1].items():
        torch.testing.assert_close(
            first[1][name], value, rtol=rounding, atol=rounding, msg=lambda m, n=name: f"{n}: {m}"
        )
    return first


# The last minibatch of 47 windows has one window, and the second process none; of 13 it has nine.
@pytest.mark.parametrize("batch", [47, *(pytest.param(size, marks=pytest.mark.slow) for size in (16, 13))])
def test_the_process_inside_learns_as_in_one_process(world, encoder, tmp_path, batch):  # noqa: F811
    options = TrainingOptions(epochs=2, batch_size=batch, learning_rate=0.01, gamma=0.3, penalty="mcp")

    def make() -> M3TRPredictor:
        return M3TRPredictor(M3TRConfig(width=8, hidden=8, neighbours=3), options, temporal_encoder=encoder)

    compare(tmp_path, make, world)


def test_a_loss_that_compares_the_windows_of_a_minibatch_sees_those_of_all_processes(tmp_path):
    """The contrastive loss of TTC-VLT; and targets that some windows lack."""
    posts, rng = make_posts(60), np.random.default_rng(0)
    target = rng.normal(size=(60, 2))
    target[rng.random(60) < 0.5, 1] = np.nan
    train, dev, test = split(samples_of(posts, np.arange(60), target))
    options = TrainingOptions(epochs=3, batch_size=7, learning_rate=0.01, gamma=0.5)  # the last has one window
    config = TTCVLTConfig(width=6, hidden=5, unknown_authors=0.0)
    compare(tmp_path, lambda: TTCVLTPredictor(config, options), World(train, dev, test, bank_of(train), 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["skapp", "hmmved", "massl"])
def test_every_further_loss_adds_up(tmp_path, monkeypatch, name):
    world = tabular_world(items=60)
    world = replace(world, bank=replace(world.bank, table=world.train.table))
    for module in (models.predictors.hmmved, models.predictors.massl):  # without their random draw
        monkeypatch.setattr(module, "draw", lambda mean, log_std: mean)
    makes = {
        "skapp": lambda: SKAPPPredictor(SKAPPConfig(width=8, hidden=8), OPTIONS),
        "hmmved": lambda: HMMVEDPredictor(HMMVEDConfig(), OPTIONS),
        "massl": lambda: MASSLPredictor(MASSLConfig(), OPTIONS),
    }
    compare(tmp_path, makes[name], world)


def test_all_processes_stop_at_the_same_pass(world, tmp_path):
    options = TrainingOptions(epochs=12, batch_size=16, patience=1, learning_rate=0.1, averaging=0.0)
    make = partial(M3TRPredictor, M3TRConfig(width=8, hidden=8), options)
    report, _ = compare(tmp_path, make, world, rounding=1e-3)  # large steps enlarge the differences
    assert report.stopped_early and len(report.epochs) < options.epochs


class KilledHere(Ranks):
    """Processes of which the second is killed in a step of the second pass."""

    def seed_step(self, seed: int, epoch: int, step: int) -> None:
        super().seed_step(seed, epoch, step)
        if (self.number, epoch, step) == (1, 1, 2):
            kill_this_process()


class Eager(Checkpoint):
    """A checkpoint that is written after every step, by one process only."""

    def write_if_due(self, state) -> None:
        assert torch.distributed.get_rank() == 0
        self._wait = 0.0
        super().write_if_due(state)


def test_a_killed_process_ends_all_and_the_next_training_continues(world, tmp_path):
    """With dropout, whose random numbers differ between the processes: the result is the same to the bit."""
    config = M3TRConfig(width=8, hidden=8, neighbours=3, dropout=0.2)
    file = tmp_path / "training.pt"

    def trained(ranks: type[Ranks]) -> Fitted:
        return fit(
            M3TRPredictor(config, OPTIONS),
            world,
            ranks=ranks("cpu"),
            checkpoint=Eager(file, fingerprint="the same"),
        )

    whole, _ = on_ranks(tmp_path / "whole", 2, lambda _: trained(Ranks))
    assert not file.exists()
    assert on_ranks(tmp_path / "killed", 2, lambda _: trained(KilledHere)) == [None, None]
    held = torch.load(file, weights_only=True)["state"]
    assert (len(held["report"]["epochs"]), len(held["losses"])) == (1, 2)
    again, _ = on_ranks(tmp_path / "again", 2, lambda _: trained(Ranks))
    assert [epoch.loss for epoch in again[0].epochs] == [epoch.loss for epoch in whole[0].epochs]
    assert all(torch.equal(again[1][name], value) for name, value in whole[1].items())
    assert not file.exists()


def test_random_numbers_differ_between_the_processes_and_repeat_with_the_seed(tmp_path):
    def draw(number: int) -> torch.Tensor:
        Ranks("cpu").seed_step(seed=1, epoch=2, step=3)
        return torch.rand(4)

    first, second = on_ranks(tmp_path / "a", 2, draw)
    assert not torch.equal(first, second)
    assert torch.equal(on_ranks(tmp_path / "b", 2, draw)[1], second)


def test_one_process_keeps_its_random_state():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    SingleProcess().seed_step(seed=1, epoch=2, step=3)
    assert torch.equal(torch.get_rng_state(), before)
