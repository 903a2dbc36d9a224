"""Counts in simulated continuations: the right law, the same for any batch, capped where a process explodes."""

import math

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes
from models.simulated_counts import simulate_counts

EACH = torch.eye(2, dtype=torch.bool)


def hawkes(branching=0.5, rate=1.5):
    process = ExponentialHawkes(2, shared=True).requires_grad_(False)
    process.baseline.copy_(torch.tensor([0.3, 0.6]))
    process.excitation.branching.copy_(torch.tensor([[[0.8], [0.3]], [[0.1], [0.6]]]))
    process.excitation.branching.mul_(branching / process.branching_ratio())
    process.excitation.log_rate.fill_(math.log(rate))
    return process


def observed():
    return EventBatch.from_sequences([[0.5, 0.5, 1.0], [], [1.0]], [[0, 1, 0], [], [1]], t_end=[1.0, 2.0, 1.5])


def test_counts_rise_and_are_zero_until_the_end_of_the_window():
    found = simulate_counts(hawkes(), observed(), torch.tensor([1.0, 2.0, 4.0, 9.0]), counted=EACH, continuations=40,
                            seeds=[1, 2, 3])  # fmt: skip
    assert found.counts.shape == (3, 40, 4, 2) and found.counts.dtype == np.int64
    assert (np.diff(found.counts, axis=2) >= 0).all() and not found.capped.any()
    assert not found.counts[:, :, 0].any() and not found.counts[1, :, 1].any() and found.counts[0, :, 1].any()
    assert found.counts[:, :, -1].mean() > 2


@pytest.mark.parametrize("cap", [5, 60])
def test_an_explosive_process_is_capped_and_said(cap):
    found = simulate_counts(hawkes(branching=1.5), observed(), torch.tensor([3.0, 60.0]), counted=EACH, continuations=20,
                            seeds=[1, 2, 3], max_events=cap)  # fmt: skip
    assert found.capped.all()
    assert (found.counts[:, :, -1].sum(-1) == cap).all()
