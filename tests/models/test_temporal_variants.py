"""Temporal rows of the other processes in M3TR's table 2: none at all (Pad&Mask), Poisson, neural Hawkes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models import temporal
from models.events import EventBatch
from models.hawkes import NeuralHawkesProcess, PoissonProcess, RawEvents, RowSource
from models.predictors import M3TRPredictor, TrainingOptions
from models.temporal import TemporalEncoder
from tests.models.predictors.synthetic import make_world
from tests.models.predictors.test_joint_training import SMALL, with_feedback

LENGTH = 6
SOURCES = {"raw": RawEvents, "poisson": PoissonProcess, "neural": lambda kinds: NeuralHawkesProcess(kinds, hidden=5)}


@pytest.fixture(params=SOURCES)
def source(request) -> RowSource:
    torch.manual_seed(0)
    return SOURCES[request.param](4).eval()


def make_batch() -> EventBatch:
    """No event, two, and more than there are rows."""
    times = [[], [1.0, 3.0], np.linspace(0.5, 9.5, 10)]
    return EventBatch.from_sequences(times, [[], [1, 2], np.arange(10) % 4], t_end=[10.0] * 3)


def test_without_a_process_rows_are_the_observed_events_padded_and_masked():
    encoder = TemporalEncoder(RawEvents(4), length=LENGTH, channels="state")
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3])
    assert completed.simulated.tolist() == [0, 0, 0]
    rows, mask = encoder(completed)
    assert mask.sum(1).tolist() == [0, 2, LENGTH]
    assert not rows[~mask].any()
    expected = [[0, 1, 0, 0, np.log1p(1), np.log1p(1)], [0, 0, 1, 0, np.log1p(2), np.log1p(3)]]
    np.testing.assert_allclose(rows[1, :2], expected, rtol=1e-6)
    assert encoder.log_likelihood(make_batch()).tolist() == [0.0, 0.0, 0.0]


def test_a_process_completes_every_item(source):
    encoder = TemporalEncoder(source, length=LENGTH)
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3])
    assert completed.simulated.tolist() == ([LENGTH, LENGTH - 2, 0] if source.simulates else [0, 0, 0])
    encoder.fit_standardiser([completed])
    rows, mask = encoder(completed)
    assert rows.shape == (3, LENGTH, encoder.width) and bool(torch.isfinite(rows).all())
    assert abs(float(rows[mask].detach().mean())) < 1e-5


def test_an_encoder_comes_back_as_it_was(source, tmp_path):
    encoder = TemporalEncoder(source, length=LENGTH, channels="state+rate")
    completed = encoder.complete(make_batch(), seeds=[1, 2, 3])
    encoder.fit_standardiser([completed])
    temporal.save(encoder, tmp_path)
    back = temporal.load(tmp_path)
    assert type(back.process) is type(source)
    assert torch.equal(back(completed)[0], encoder(completed)[0])


def test_m3tr_trains_with_each_and_learns_it_if_there_is_something_to_learn(source):
    encoder = TemporalEncoder(source, length=LENGTH)
    world = with_feedback(make_world(items=60, neighbours=3, circles=6), encoder)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    model = M3TRPredictor(SMALL, TrainingOptions(epochs=2, batch_size=16, gamma=0.5), temporal_encoder=encoder)
    report = model.fit(world.train, world.dev, world.bank)
    inside = model.network.temporal_encoder
    assert np.isfinite(model.predict(world.test, world.bank)).all()
    if source.simulates:
        assert np.isfinite(report.epochs[-1].further_loss)
        learned = dict(inside.process.named_parameters())
        assert all(not torch.equal(value, before[f"process.{name}"]) for name, value in learned.items())
    else:  # no parameters: the stored rows are used, and no feedback is needed
        assert inside is None and report.epochs[-1].further_loss is None
