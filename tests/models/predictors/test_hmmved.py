"""HMMVED: the product of experts, the authors' prior and the loss, against plain NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.predictors import Table
from models.predictors.author_prior import AuthorPrior
from models.predictors.hmmved import HMMVED, HMMVEDConfig
from models.predictors.product_of_experts import divergence
from tests.models.predictors.pooled_reference import (
    COLUMNS,
    WIDTHS,
    PooledReference,
    batch_of,
    kl,
    randomised,
    table_of,
)

CONFIG = HMMVEDConfig(hidden=6, latent=3, decoder=4, divergence=0.3)
STATISTICS = ("author_followers", "history_mean")


def make_network(config: HMMVEDConfig = CONFIG) -> HMMVED:
    return randomised(lambda: HMMVED(config, WIDTHS, COLUMNS, targets=2, authors=["a", "b"], statistics=STATISTICS))


class Reference(PooledReference):
    def forecast(self, batch) -> np.ndarray:
        means = [self.experts(self.pool(batch, video))[0] for video in range(4)]
        return np.array([self.unstandardise(self.perceptron("decode", mean)) for mean in means])

    def prior(self, table: Table, video: int) -> tuple[np.ndarray, np.ndarray]:
        author = table.categorical[video, 0]
        if author not in ("a", "b"):
            return np.zeros(3), np.ones(3)
        statistics = self.columns("prior.statistics", table, video, STATISTICS)
        embedding = self.weights["prior.embedding.weight"]["ab".index(author)]
        features = np.concatenate([embedding, np.zeros(4) if statistics is None else statistics])
        output = self.perceptron("prior.encode", features)
        return output[:3], np.exp(np.clip(output[3:], -20, 2))

    def divergence(self, batch) -> float:
        own = [self.experts(self.pool(batch, video)) for video in range(4)]
        return float(np.mean([kl(*part, *self.prior(batch.tables[0], video)) for video, part in enumerate(own)]))


def results(network, batch) -> np.ndarray:
    with torch.no_grad():
        return np.append(network.forecast(batch).numpy().ravel(), float(network.further_loss(batch)))


def test_forecast_and_divergence_are_the_papers():
    network, batch = make_network(), batch_of()
    reference = Reference(network)
    expected = np.append(reference.forecast(batch).ravel(), reference.divergence(batch))
    np.testing.assert_allclose(results(network, batch), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in make_network().state_dict() if "prior.decode" not in name])
def test_a_wrong_weight_would_be_noticed(name):
    network, batch = make_network(), batch_of()
    reference = Reference(network)
    reference.weights[name] += 1e-3 * np.random.default_rng(0).standard_normal(reference.weights[name].shape)
    found = np.append(reference.forecast(batch).ravel(), reference.divergence(batch))
    assert np.abs(found - results(network, batch)).max() > 1e-8


def test_a_product_of_one_expert_is_that_expert_and_a_missing_modality_changes_nothing():
    network, batch = make_network(), batch_of()
    pooled = network.pool(batch)
    first = {name: part if name == "text" else replace_present(part, False) for name, part in pooled.items()}
    with torch.no_grad():
        mean, log_std = network.experts(first)
        alone = network.experts.experts["text"](pooled["text"].vectors[:1])
        np.testing.assert_allclose(torch.cat([mean[:1], log_std[:1]], -1), alone.clamp(max=99), rtol=1e-12)
        without = HMMVED(replace(CONFIG, use_visual=False), {k: v for k, v in WIDTHS.items() if k != "visual"}, COLUMNS)
        without = without.double().experts
        without.load_state_dict({k: v for k, v in network.experts.state_dict().items() if "visual" not in k})
        masked = network.experts({**pooled, "visual": replace_present(pooled["visual"], False)})
        for found, expected in zip(masked, without(pooled), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        nothing = network.experts({name: replace_present(part, False) for name, part in pooled.items()})
        assert not nothing[0].any() and not nothing[1].any()  # N(0, I)


def replace_present(part, present: bool):
    return part._replace(present=torch.full_like(part.present, present))


def test_the_divergence_is_the_integral_of_its_definition():
    """KL by summing q log(q / p) on a fine grid of one dimension."""
    mean, std, prior_mean, prior_std = 0.4, 0.7, -0.3, 1.6
    x = np.linspace(-12, 12, 200_001)
    log_q, log_p = (-0.5 * ((x - m) / s) ** 2 - np.log(s) for m, s in ((mean, std), (prior_mean, prior_std)))
    expected = np.sum(np.exp(log_q) / np.sqrt(2 * np.pi) * (log_q - log_p)) * (x[1] - x[0])
    values = (torch.tensor([[v]], dtype=torch.float64) for v in (mean, np.log(std), prior_mean, np.log(prior_std)))
    assert float(divergence(*values)) == pytest.approx(expected, abs=1e-9)


def test_the_prior_tells_popular_authors_from_others_and_stays_as_it_was_fitted():
    """Author a has twice the videos and high targets; the third target is unknown for b."""
    torch.manual_seed(0)
    table = table_of(60, 3)
    popular = table.categorical[:, 0] == "a"
    target = np.where(popular, 1.5, -0.5)[:, None] + 0.1 * np.random.default_rng(0).normal(size=(60, 2))
    target[~popular, 1] = np.nan
    prior = AuthorPrior(["a", "b"], STATISTICS, latent=3, targets=2)
    prior.fit(table, target, weight=0.02)
    with torch.no_grad():
        mean, log_std = prior(table)
        told = prior.decode(mean)[:, 0].numpy()
    assert told[popular].mean() - told[table.categorical[:, 0] == "b"].mean() > 1.0
    unknown = ~np.isin(table.categorical[:, 0], ["a", "b"])
    assert not mean[unknown].any() and not log_std[unknown].any()
    assert not any(parameter.requires_grad for parameter in prior.parameters())
