"""MASSL: forecast, reconstruction and divergence against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.predictors.massl import MASSL, MASSLConfig
from tests.models.predictors.pooled_reference import COLUMNS, WIDTHS, PooledReference, batch_of, kl, randomised

CONFIG = MASSLConfig(hidden=6, latent=3, decoder=4, reconstruction=0.4, divergence=0.3)


def make_network() -> MASSL:
    return randomised(lambda: MASSL(CONFIG, WIDTHS, COLUMNS, targets=2))


class Reference(PooledReference):
    def results(self, batch, latent: np.ndarray) -> np.ndarray:
        """Forecasts, and the further loss with these draws."""
        pooled = [self.pool(batch, video) for video in range(4)]
        gaussians = [self.experts(part) for part in pooled]
        forecasts = [self.unstandardise(self.perceptron("head", mean)) for mean, _ in gaussians]
        reconstruction = 0.0
        for name in pooled[0]:
            there = [video for video in range(4) if pooled[video][name] is not None]
            errors = [self.perceptron(f"decode.{name}", latent[video]) - pooled[video][name] for video in there]
            reconstruction += np.mean(np.square(errors))
        information = np.mean([kl(*part, np.zeros(3), np.ones(3)) for part in gaussians])
        return np.append(np.ravel(forecasts), 0.4 * reconstruction + 0.3 * information)


def results(network: MASSL, batch) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts and further loss, and the draws that the loss used."""
    with torch.no_grad():
        torch.manual_seed(5)
        loss = network.further_loss(batch)
        mean, log_std = network.experts(network.pool(batch))
        torch.manual_seed(5)
        draws = mean + log_std.exp() * torch.randn_like(mean)
        return np.append(network.forecast(batch).numpy().ravel(), float(loss)), draws.numpy()


def test_forecast_and_loss_are_as_specified():
    network, batch = make_network(), batch_of()
    found, draws = results(network, batch)
    np.testing.assert_allclose(found, Reference(network).results(batch, draws), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", make_network().state_dict())
def test_a_wrong_weight_would_be_noticed(name):
    network, batch = make_network(), batch_of()
    found, draws = results(network, batch)
    reference = Reference(network)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    assert np.abs(found - reference.results(batch, draws)).max() > 1e-8
