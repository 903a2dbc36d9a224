"""The neural Hawkes process against Mei and Eisner's equations in plain NumPy, and what its fit finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.hawkes import NeuralHawkesProcess, fit
from models.hawkes.fit import evaluate
from models.hawkes.pieces import Pieces
from tests.models.hawkes.conftest import make_batch, make_process


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


class Reference:
    """The continuous-time LSTM, event by event; its weights may be changed."""

    def __init__(self, process: NeuralHawkesProcess) -> None:
        self.scale, self.width = float(process.time_scale), process.hidden
        self.weights = {name: value.numpy().copy() for name, value in process.named_parameters()}

    def cell(self, kind: int, h: np.ndarray, c: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        """The values that an event of type `kind` sets, given h, c and c' just before it."""
        gates = self.weights["from_type.weight"][kind] + self.weights["from_state.weight"] @ h
        i, f, z, o, target_i, target_f, decay = gates.reshape(7, self.width)
        z = 2 * sigmoid(z) - 1
        return {
            "o": sigmoid(o),
            "c": sigmoid(f) * c + sigmoid(i) * z,
            "target": sigmoid(target_f) * target + sigmoid(target_i) * z,
            "decay": np.log1p(np.exp(decay)),
        }

    def at(self, cell: dict[str, np.ndarray], elapsed: float) -> tuple[np.ndarray, np.ndarray]:
        """h(t) and c(t) some time after the event that set `cell`."""
        c = cell["target"] + (cell["c"] - cell["target"]) * np.exp(-cell["decay"] * elapsed / self.scale)
        return cell["o"] * np.tanh(c), c

    def intensity(self, times: list[float], kinds: list[int], at: float) -> np.ndarray:
        """(k,) intensities at a time, given the events strictly before it."""
        zero = np.zeros(self.width)
        cell, last = self.cell(len(self.weights["log_softness"]), zero, zero, zero), 0.0
        for time, kind in zip(times, kinds, strict=True):
            if time < at:
                h, c = self.at(cell, time - last)
                cell, last = self.cell(kind, h, c, cell["target"]), time
        softness = np.exp(self.weights["log_softness"])
        argument = self.weights["head.weight"] @ self.at(cell, at - last)[0]
        return softness * np.log1p(np.exp(argument / softness)) / self.scale


def intensities(source: Reference | NeuralHawkesProcess, batch: EventBatch, at: np.ndarray) -> np.ndarray:
    if isinstance(source, NeuralHawkesProcess):
        return source.intensity(batch, torch.from_numpy(at)).numpy()
    rows = [(t[:n].tolist(), k[:n].tolist()) for t, k, n in zip(batch.times, batch.types, batch.lengths, strict=True)]
    return np.array(
        [[source.intensity(*row, time) for time in times] for row, times in zip(rows, at.tolist(), strict=True)]
    )


def test_the_intensity_is_the_papers():
    """Between events, just after them, before the first one and long after the last one."""
    process, batch = make_process("neural"), make_batch(seed=1)
    at = np.sort(np.random.default_rng(0).uniform(0, 9, (len(batch), 12)), axis=1)
    found = intensities(process, batch, at)
    np.testing.assert_allclose(found, intensities(Reference(process), batch, at), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", [name for name, _ in make_process("neural").named_parameters()])
def test_a_wrong_weight_would_be_noticed(name):
    """The negative control."""
    process, batch = make_process("neural"), make_batch(seed=1)
    reference = Reference(process)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    at = np.sort(np.random.default_rng(0).uniform(0, 9, (len(batch), 12)), axis=1)
    assert np.abs(intensities(process, batch, at) - intensities(reference, batch, at)).max() > 1e-8


def test_the_likelihood_reaches_every_weight_in_training_and_outside():
    for training in (False, True):
        process = make_process("neural").requires_grad_(True).train(training)
        process.log_likelihood(make_batch(seed=2)).sum().backward()
        assert all(bool(parameter.grad.any()) for parameter in process.parameters())


def test_a_sequence_that_was_cut_has_the_likelihood_of_the_whole(monkeypatch):
    """Pieces of at most eight events, each of which continues from the cell before it."""
    monkeypatch.setattr("models.hawkes.pieces.LONGEST", 8)
    process, batch = make_process("neural"), make_batch(seed=3, rows=5, longest=30, ties=True)
    pieces = Pieces(process, batch, "observation")
    assert len(pieces) > len(batch)
    total = 0.0
    for part in pieces.walk(process):
        own, integral = process.likelihood_of(process.encode(part.batch, part.carried), part.batch, part.window)
        total += float(own.sum() - integral.sum())
    assert total == pytest.approx(float(process.log_likelihood(batch).sum()), rel=1e-9)


def test_the_fit_finds_that_the_type_alternates():
    """Types alternate at a steady pace: a process that remembers the last one predicts far better than rates alone."""
    times = [np.arange(1, 6) + 0.1 * row / 40 for row in range(40)]
    types = [(np.arange(5) + row) % 2 for row in range(40)]
    batch = EventBatch.from_sequences(times, types, t_end=[6.5] * 40)
    process = NeuralHawkesProcess(2, hidden=8)
    report = fit(process, batch[:30], batch[30:], epochs=15, batch_size=10, learning_rate=0.1, seed=0)
    assert report.best.dev > report.curve[0].dev + 0.5
    assert 0.99 <= report.events_ratio <= 1.01
    assert evaluate(process, batch[30:]) == pytest.approx(report.best.dev, abs=1e-6)
