"""Training on a GPU: as good as on a CPU, in bfloat16 too; it continues from checkpoints, and no step waits for the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import metrics
from models.predictors import M3TRConfig, M3TRPredictor, TrainingOptions
from models.predictors.checkpoints import Checkpoint
from models.predictors.samples import minibatch
from models.predictors.training import joint_loss
from models.weight_average import WeightAverage
from tests.models.predictors.synthetic import World, make_world
from tests.models.predictors.test_checkpoints import Killed, KilledAt
from tests.models.predictors.test_joint_training import encoder, with_feedback  # noqa: F401

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]
CONFIG = M3TRConfig(width=32, hidden=32, neighbours=8)
OPTIONS = TrainingOptions(epochs=20, batch_size=32, learning_rate=3e-3)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(items=300, neighbours=8, circles=20)


def score(world: World, *, device: str, **options) -> float:
    model = M3TRPredictor(CONFIG, replace(OPTIONS, **options))
    model.fit(world.train, world.dev, world.bank, seed=1, device=device)
    assert all(value.dtype in (torch.float32, torch.int64) for value in model.network.state_dict().values())
    return metrics.nmse(world.test.target[:, 0], model.predict(world.test, world.bank, device=device)[:, 0])


def test_every_precision_trains_as_well_as_a_cpu(world):
    expected = score(world, device="cpu")
    for precision in ("float32", "bfloat16", "auto"):
        assert score(world, device="cuda", precision=precision) == pytest.approx(expected, abs=0.1), precision


def test_bfloat16_is_in_the_forecasts_of_the_training_and_nowhere_else(world):
    """The loss changes in its last digits, and forecasts after the training do not."""
    model = M3TRPredictor(CONFIG, replace(OPTIONS, epochs=1))
    model.fit(world.train, None, world.bank, device="cuda")
    batch = minibatch(world.train, world.bank, np.arange(64), with_feedback=False, device="cuda")
    network = model.network
    with torch.no_grad():
        exact = float(joint_loss(network, batch, gamma=0.0)[0])
        reduced = float(joint_loss(network, batch, gamma=0.0, autocast=torch.autocast("cuda", dtype=torch.bfloat16))[0])
    assert reduced != exact and reduced == pytest.approx(exact, rel=0.05)
    on_cpu = model.predict(world.test, world.bank)
    np.testing.assert_allclose(model.predict(world.test, world.bank, device="cuda"), on_cpu, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_process_inside_learns_in_float32(encoder, precision):  # noqa: F811
    made = with_feedback(make_world(items=60, neighbours=3, circles=6), encoder)
    options = TrainingOptions(epochs=2, batch_size=16, gamma=0.5, precision=precision, penalty="mcp")
    model = M3TRPredictor(replace(CONFIG, neighbours=3), options, temporal_encoder=encoder)
    report = model.fit(made.train, made.dev, made.bank, device="cuda")
    process = model.network.temporal_encoder.process
    assert np.isfinite(report.best_dev_nmse) and np.isfinite(report.epochs[-1].further_loss)
    assert bool((process.excitation.branching >= 0).all()) and process.branching_ratio() <= 0.95 + 1e-6


def test_a_training_that_was_killed_continues(world, tmp_path):
    config = replace(CONFIG, dropout=0.1)  # dropout draws from the GPU's own random state
    options = replace(OPTIONS, epochs=4)

    def fitted(checkpoint: Checkpoint | None) -> tuple[M3TRPredictor, list[float]]:
        model = M3TRPredictor(config, options)
        report = model.fit(world.train, world.dev, world.bank, seed=1, device="cuda", checkpoint=checkpoint)
        return model, [epoch.loss for epoch in report.epochs]

    whole, curve = fitted(None)
    with pytest.raises(Killed):
        fitted(KilledAt(tmp_path / "training.pt", step=11))
    torch.cuda.manual_seed(99)
    resumed, again = fitted(Checkpoint(tmp_path / "training.pt", fingerprint="the same"))
    np.testing.assert_allclose(again, curve, rtol=1e-3)
    expected = whole.predict(world.test, world.bank)
    np.testing.assert_allclose(resumed.predict(world.test, world.bank), expected, rtol=1e-2, atol=1e-2)


@contextmanager
def waiting_refused() -> Iterator[None]:
    """Every operation that waits for the GPU is an error."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("aggregate", ["attention", "rows", "concat"])
def test_a_step_does_not_wait_for_the_gpu(world, aggregate):
    """Without a process inside, whose events have to be counted."""
    model = M3TRPredictor(replace(CONFIG, aggregate=aggregate), replace(OPTIONS, epochs=1))
    model.fit(world.train, None, world.bank, device="cuda")
    network = model.network.train()
    optimiser = torch.optim.AdamW(network.parameter_groups(OPTIONS))
    average = WeightAverage(network, decay=0.9)
    autocast = torch.autocast("cuda", dtype=torch.bfloat16)
    for step in range(3):
        with waiting_refused() if step else nullcontext():  # the first step allocates
            batch = minibatch(world.train, world.bank, np.arange(32), with_feedback=False, device="cuda")
            losses = joint_loss(network, batch, gamma=0.0, autocast=autocast)
            optimiser.zero_grad(set_to_none=True)
            losses[0].backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            average.update()
