"""Every click model: against plain NumPy, its gradients, padding, and what it may read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.recommenders.alpine import ALPINEConfig, ALPINENetwork
from models.recommenders.atrank import ATRankConfig, ATRankNetwork
from models.recommenders.bpr import BPRNetwork
from models.recommenders.click_network import ClickConfig, ClickNetwork
from models.recommenders.cnn import CNNConfig, CNNNetwork
from models.recommenders.lstm import LSTMNetwork
from models.recommenders.mtin import MTINConfig, MTINNetwork
from models.recommenders.ncf import NCFConfig, NCFNetwork
from models.recommenders.thacil import THACILConfig, THACILNetwork
from tests.models.recommenders.click_batches import SIZES, random_batch, with_padding, with_random_weights
from tests.models.recommenders.click_reference import (
    ALPINEReference,
    ATRankReference,
    BPRReference,
    CNNReference,
    LSTMReference,
    NCFReference,
    Reference,
    THACILReference,
)
from tests.models.recommenders.mtin_reference import MTINReference

MTIN_CONFIG = MTINConfig(width=4, hidden=5, groups=3, skip_groups=2, masks=2, route_gradient=True)
MTIN_VARIANTS = [
    MTIN_CONFIG,
    replace(MTIN_CONFIG, mask="weighted", aggregation="sum", scale=False),
    replace(MTIN_CONFIG, mask="weighted", group_threshold=0.4, product=True),
    replace(MTIN_CONFIG, aggregation="concat", clock="hours", route_gradient=False),
    replace(MTIN_CONFIG, memory="shared", rounds=1, base=3.0, threshold=0.3, ids=True),
    replace(MTIN_CONFIG, groups=1, threshold=0.0),
]
SMALL = {"width": 4, "hidden": 6}
MODELS: list[tuple[type[ClickNetwork], object, type[Reference]]] = [
    (BPRNetwork, ClickConfig(**SMALL), BPRReference),
    (BPRNetwork, ClickConfig(**SMALL, ids=True), BPRReference),
    (LSTMNetwork, ClickConfig(**SMALL), LSTMReference),
    (CNNNetwork, CNNConfig(**SMALL, widest=3, filters=2), CNNReference),
    (NCFNetwork, NCFConfig(**SMALL), NCFReference),
    (ATRankNetwork, ATRankConfig(width=4, hidden=12, heads=2), ATRankReference),
    (THACILNetwork, THACILConfig(**SMALL, block=2, heads=2), THACILReference),
    (ALPINENetwork, ALPINEConfig(**SMALL), ALPINEReference),
    *((MTINNetwork, config, MTINReference) for config in MTIN_VARIANTS),
]
each_model = pytest.mark.parametrize(
    ("kind", "config", "reference"),
    MODELS,
    ids=[f"{kind.__name__}{number}" for number, (kind, *_) in enumerate(MODELS)],
)


def make(kind: type[ClickNetwork], config: object) -> ClickNetwork:
    return with_random_weights(kind(config, SIZES))


@each_model
def test_scores_are_those_of_the_equations(kind, config, reference):
    network, batch = make(kind, config), random_batch()
    with torch.no_grad():
        scores = network(batch).numpy()
    np.testing.assert_allclose(scores, reference(network).scores(batch), rtol=1e-10, atol=1e-10)


@each_model
def test_another_weight_anywhere_would_be_noticed(kind, config, reference):
    network, batch = make(kind, config), random_batch()
    with torch.no_grad():
        scores = network(batch).numpy()
    layers: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        # a single layer of the matching scores may leave all groups as they are
        layer = name[: name.index(".match.") + 6] if ".match." in name else name.rpartition(".")[0] or name
        layers.setdefault(layer, []).append(name)
    if getattr(config, "groups", None) == 1:
        for layer in ("match", "group_mask"):  # all clicks are in the one group, and its weight is 1
            layers.pop(f"sides.clicked.{layer}")
    random = np.random.default_rng(0)

    def changed(names: list[str]) -> bool:
        other = reference(network)
        for name in names:
            other.weights[name] = other.weights[name] + 2 * random.standard_normal(other.weights[name].shape)
        return np.abs(other.scores(batch) - scores).max() > 1e-6

    for layer, names in layers.items():
        assert any(changed(names) for _ in range(20)), layer


@each_model
def test_every_parameter_gets_a_gradient(kind, config, reference):
    network = make(kind, config)
    for seed in range(6):  # a unit of a ReLU may be off for one batch
        network.loss(random_batch(seed)).backward()
    without = {
        name
        for name, weight in network.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.to_dense().abs().sum() > 0)
    }
    expected = set()
    if getattr(config, "route_gradient", True) is False:  # the matching scores only decide which group is best
        expected |= {name for name, _ in network.named_parameters() if ".match." in name}
    if getattr(config, "groups", None) == 1:  # a softmax of one group is 1
        expected |= {"sides.clicked.group_mask.metric"}
    assert without == expected


@each_model
def test_padding_changes_nothing(kind, config, reference):
    network, batch = make(kind, config), random_batch()
    with torch.no_grad():
        np.testing.assert_allclose(network(with_padding(batch, 5)), network(batch), rtol=1e-12, atol=1e-12)


@each_model
def test_a_score_is_that_of_the_user_alone(kind, config, reference):
    network, batch = make(kind, config), random_batch()
    alone = replace(
        batch,
        user=batch.user[:1],
        clicked=type(batch.clicked)(*(part[:1] for part in batch.clicked)),
        skipped=type(batch.skipped)(*(part[:1] for part in batch.skipped)),
        candidate=batch.candidate[:1],
        mask=batch.mask[:1],
        label=batch.label[:1],
    )
    with torch.no_grad():
        np.testing.assert_allclose(network(alone), network(batch)[:1], rtol=1e-12, atol=1e-12)


def test_bpr_counts_pairs_of_a_click_and_a_skip_of_one_user():
    network, batch = make(BPRNetwork, ClickConfig(**SMALL)), random_batch()
    with torch.no_grad():
        scores, loss = network(batch).numpy(), network.loss(batch).item()
    label, mask = batch.label.numpy() > 0, batch.mask.numpy()
    pairs = [
        np.log1p(np.exp(-(scores[row, i] - scores[row, j])))
        for row in range(len(scores))
        for i in range(3)
        for j in range(3)
        if mask[row, i] and mask[row, j] and label[row, i] and not label[row, j]
    ]
    assert pairs
    assert loss == pytest.approx(np.mean(pairs), rel=1e-12)


def test_the_loss_is_the_cross_entropy_of_the_candidates():
    network, batch = make(LSTMNetwork, ClickConfig(**SMALL)), random_batch()
    with torch.no_grad():
        chance, loss = network(batch).sigmoid().numpy()[batch.mask.numpy()], network.loss(batch).item()
    label = batch.label.numpy()[batch.mask.numpy()]
    assert loss == pytest.approx(-np.mean(label * np.log(chance) + (1 - label) * np.log(1 - chance)), rel=1e-12)
