"""Passes with early stopping: which weights are kept, and when training stops."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.recommenders.passes import run_passes
from models.recommenders.recommender import RecommenderReport


def run(metrics, *, epochs=10, patience=2, losses=(1.0,)):
    """Train a network whose only weight counts the passes, with given validation metrics."""
    network, report, seen, given = nn.Linear(1, 1, bias=False), RecommenderReport("metric", 1), [], iter(metrics)
    nn.init.zeros_(network.weight)

    def one_pass():
        assert network.training
        with torch.no_grad():
            network.weight += 1
        return [torch.tensor(loss) for loss in losses]

    def validate():
        assert not network.training
        return next(given)

    run_passes(network, report, one_pass, validate, epochs=epochs, patience=patience, progress=seen.append)
    return int(network.weight.item()), report, [epoch.number for epoch in seen]


def test_the_weights_of_the_best_pass_are_kept_and_patience_ends_the_training():
    kept, report, seen = run([0.1, 0.5, 0.4, 0.5, 0.9])
    assert (kept, report.best_epoch, report.best_dev) == (2, 2, 0.5)
    assert seen == [1, 2, 3, 4]  # an equal metric is no better one


def test_without_validation_every_pass_runs_and_the_last_weights_stay():
    kept, report, seen = run([None] * 3, epochs=3)
    assert (kept, report.best_epoch, report.best_dev, seen) == (3, 3, None, [1, 2, 3])


def test_the_loss_of_a_pass_is_the_mean_of_its_steps():
    assert run([0.1], epochs=1, losses=(1.0, 4.0))[1].epochs[0].loss == 2.5


def test_a_loss_that_is_not_finite_stops_with_a_remedy():
    with pytest.raises(FloatingPointError, match="the loss is nan in pass 1; try a smaller learning_rate"):
        run([0.1], losses=(1.0, float("nan")))
