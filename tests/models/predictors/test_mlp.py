"""The perceptron over pooled content against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.predictors.mlp import MLP, MLPConfig
from tests.models.predictors.pooled_reference import COLUMNS, WIDTHS, PooledReference, batch_of, randomised


def make_network() -> MLP:
    return randomised(lambda: MLP(MLPConfig(first=5, second=4), WIDTHS, COLUMNS, targets=2))


class Reference(PooledReference):
    def forecast(self, batch) -> np.ndarray:
        widths, forecasts = self.network.content.widths, []
        for video in range(4):
            parts = self.pool(batch, video)
            x = np.concatenate([np.zeros(widths[name]) if part is None else part for name, part in parts.items()])
            hidden = np.maximum(self.perceptron("layers", x, last=3), 0.0)
            forecasts.append(self.unstandardise(self.linear("layers.6", hidden)))
        return np.array(forecasts)


def forecast(network: MLP, batch) -> np.ndarray:
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
