"""A training that was killed continues from its checkpoint and gives the same model as one that was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.predictors import M3TRConfig, M3TRPredictor, TrainingOptions
from models.predictors.checkpoints import Checkpoint
from models.predictors.training_report import TrainingReport
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_joint_training import encoder, with_feedback  # noqa: F401

CONFIG = M3TRConfig(width=8, hidden=8, neighbours=3, dropout=0.2)
OPTIONS = TrainingOptions(epochs=4, batch_size=16, patience=2, learning_rate=0.02, gamma=0.3, penalty="mcp")


class Killed(Exception):
    """Stands for a kill: nothing after it runs."""


class KilledAt(Checkpoint):
    """A checkpoint after which the training is killed."""

    def __init__(self, file: Path, *, step: int) -> None:
        super().__init__(file, fingerprint="the same", seconds=0.0)
        self.left = step

    def write_if_due(self, state) -> None:
        self._wait = 0.0  # the time that writing takes does not count here
        super().write_if_due(state)
        self.left -= 1
        if self.left == 0:
            raise Killed


@pytest.fixture(scope="module")
def world(encoder) -> World:  # noqa: F811
    return with_feedback(make_world(items=60, neighbours=3, circles=6), encoder)


def trained(
    world: World,
    encoder,  # noqa: F811
    checkpoint: Checkpoint | None,
    options: TrainingOptions = OPTIONS,
) -> tuple[M3TRPredictor, TrainingReport]:
    model = M3TRPredictor(CONFIG, options, temporal_encoder=encoder)
    return model, model.fit(world.train, world.dev, world.bank, seed=2, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def whole(world, encoder) -> tuple[M3TRPredictor, TrainingReport]:  # noqa: F811
    """The training that nobody kills."""
    return trained(world, encoder, None)


def curve(report: TrainingReport) -> list[tuple[float, ...]]:
    return [(epoch.loss, epoch.prediction_loss, epoch.further_loss, epoch.dev_nmse) for epoch in report.epochs]


@pytest.mark.parametrize("steps", [[3], [4, 1, 3]], ids=["at the end of a pass", "three times"])
def test_killed_and_resumed_is_not_killed(world, encoder, whole, tmp_path, steps):  # noqa: F811
    """A pass has three steps."""
    model, report = whole
    file = tmp_path / "deep" / "training.pt"
    for step in steps:
        with pytest.raises(Killed):
            trained(world, encoder, KilledAt(file, step=step))
    assert file.exists()
    torch.manual_seed(99)  # a new process has another random state
    resumed, again = trained(world, encoder, Checkpoint(file, fingerprint="the same"))
    assert curve(again) == curve(report)
    assert (again.best_epoch, again.best_dev_nmse, again.stopped_early) == (
        report.best_epoch,
        report.best_dev_nmse,
        report.stopped_early,
    )
    for name, value in model.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value), name
    assert not list(tmp_path.rglob("*.pt*"))


def test_a_kill_within_a_divided_pass_loses_none_of_its_videos(world, encoder, tmp_path):  # noqa: F811
    options = replace(OPTIONS, epoch_videos=17)  # a pass is three epochs of one step
    _, whole = trained(world, encoder, None, options)
    with pytest.raises(Killed):
        trained(world, encoder, KilledAt(tmp_path / "training.pt", step=2), options)
    held = Checkpoint(tmp_path / "training.pt", fingerprint="the same").read()
    assert len(held["later"]) > 0
    _, resumed = trained(world, encoder, Checkpoint(tmp_path / "training.pt", fingerprint="the same"), options)
    assert curve(resumed) == curve(whole)


def test_a_resumed_training_continues_instead_of_starting_again(world, encoder, tmp_path):  # noqa: F811
    """The epochs before the kill are told to `progress` at once; the seconds before it are counted."""
    with pytest.raises(Killed):
        trained(world, encoder, KilledAt(tmp_path / "training.pt", step=4))
    held = Checkpoint(tmp_path / "training.pt", fingerprint="the same").read()
    assert (len(held["report"]["epochs"]), len(held["losses"])) == (1, 1)
    told: list[int] = []
    model = M3TRPredictor(CONFIG, OPTIONS, temporal_encoder=encoder)
    report = model.fit(
        world.train,
        world.dev,
        world.bank,
        seed=2,
        checkpoint=Checkpoint(tmp_path / "training.pt", fingerprint="the same"),
        progress=lambda epoch: told.append(epoch.epoch),
    )
    assert told == [epoch.epoch for epoch in report.epochs] == list(range(1, len(told) + 1))
    assert report.seconds > held["clock"]


@pytest.mark.parametrize("damage", ["another fingerprint", "half a file", "no checkpoint"])
def test_what_is_no_checkpoint_of_this_training_is_removed(tmp_path, damage):
    file = tmp_path / "training.pt"
    checkpoint = Checkpoint(file, fingerprint="mine", seconds=0.0)
    checkpoint.write_if_due(lambda: {"step": torch.arange(5)})
    assert torch.equal(checkpoint.read()["step"], torch.arange(5))
    if damage == "another fingerprint":
        checkpoint = Checkpoint(file, fingerprint="another")
    elif damage == "half a file":
        file.write_bytes(file.read_bytes()[:300])
    else:
        file.write_text("a note")
    assert checkpoint.read() is None
    assert not file.exists()


def test_a_kill_while_a_checkpoint_is_written_leaves_the_last_one(tmp_path):
    checkpoint = Checkpoint(tmp_path / "training.pt", fingerprint="mine", seconds=0.0)
    checkpoint.write_if_due(lambda: {"step": 1})

    def killed() -> dict[str, int]:
        raise Killed

    checkpoint._wait = 0.0
    with pytest.raises(Killed):
        checkpoint.write_if_due(killed)
    assert checkpoint.read() == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


def test_checkpoints_are_rare():
    """None is due in the first seconds, and its state is not even collected."""
    checkpoint = Checkpoint(Path("nowhere") / "training.pt", fingerprint="mine")
    checkpoint.write_if_due(lambda: pytest.fail("a checkpoint was due"))


def test_the_order_of_the_videos_is_part_of_the_state(world, encoder, whole, tmp_path):  # noqa: F811
    """The negative control: with another order after the kill the model differs."""
    file = tmp_path / "training.pt"
    with pytest.raises(Killed):
        trained(world, encoder, KilledAt(file, step=4))
    held = torch.load(file, weights_only=True)
    held["state"]["order"] = np.random.default_rng(5).bit_generator.state
    held["state"]["rows"] = held["state"]["rows"][::-1]
    torch.save(held, file)
    resumed, _ = trained(world, encoder, Checkpoint(file, fingerprint="the same"))
    assert not np.array_equal(resumed.predict(world.test, world.bank), whole[0].predict(world.test, world.bank))
