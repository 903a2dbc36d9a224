"""Att-MLP against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.predictors.att_mlp import AttMLP, AttMLPConfig
from tests.models.predictors.pooled_reference import COLUMNS, WIDTHS, PooledReference, batch_of, randomised
from tests.models.predictors.reference import softmax


def make_network() -> AttMLP:
    return randomised(lambda: AttMLP(AttMLPConfig(stream=4, hidden=5), WIDTHS, COLUMNS, targets=2))


class Reference(PooledReference):
    def forecast(self, batch) -> np.ndarray:
        return np.array([self.of_video(self.pool(batch, video)) for video in range(4)])

    def of_video(self, pooled: dict[str, np.ndarray | None]) -> np.ndarray:
        there = {name: vector for name, vector in pooled.items() if vector is not None}
        total = np.zeros(4)
        if there:
            streams = np.array([np.maximum(self.linear(f"streams.{name}", x), 0.0) for name, x in there.items()])
            scores = self.linear("context", np.tanh(self.linear("key", streams)))[:, 0]
            total = softmax(scores) @ streams
        return self.unstandardise(self.perceptron("head", total, last=3))


def forecast(network: AttMLP, batch) -> np.ndarray:
    with torch.no_grad():
        return network.forecast(batch).numpy()


def test_the_forecast_is_as_specified():
    network, batch = make_network(), batch_of()
    np.testing.assert_allclose(forecast(network, batch), Reference(network).forecast(batch), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", make_network().state_dict())
def test_a_wrong_weight_would_be_noticed(name):
    network, batch = make_network(), batch_of()
    reference = Reference(network)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    assert np.abs(forecast(network, batch) - reference.forecast(batch)).max() > 1e-8
