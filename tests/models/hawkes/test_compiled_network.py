"""The compiled network against the PyTorch network that it stands for."""

import numpy as np
import pytest
import torch

from models.hawkes import MambaHawkesProcess
from models.hawkes.compiled_network import LANES, advance, compilable, network_weights

CASES = [
    {"hidden": 32, "state": 8},
    {"hidden": 6, "state": 3, "input_rule": "zoh", "log_gaps": False},
    {"hidden": 6, "state": 8},  # as many states as the width is filled up to
    {"hidden": 10, "state": 4, "input_rule": "euler", "intensity": "mufm"},
]


def random_process(**options):
    torch.manual_seed(1)
    process = MambaHawkesProcess(3, **options).double().eval().requires_grad_(False)
    for parameter in process.parameters():  # away from ones and zeros, so that no weight can be left out unseen
        parameter.add_(0.3 * torch.randn_like(parameter))
    return process


def one_event(process, weights):
    """Return base and states after one event per lane, by the compiled code and by PyTorch; half of the lanes move."""
    g, width, wide, n = np.random.default_rng(0), process.hidden, len(weights.skip), process.network.state
    states = np.zeros((n, wide, LANES), np.float32)
    states[:, :width] = g.normal(size=(n, width, LANES))
    types, gap, moved = g.integers(0, 3, LANES), g.exponential(size=LANES) * 3, g.random(LANES) < 0.5
    before, base = states.copy(), np.zeros((3, LANES))
    work = np.zeros((6 * wide + 2 * n + 9, LANES), np.float32)
    advance(weights, states, types, gap, moved, work, base)
    memory = torch.from_numpy(before[:, :width].astype(np.float64)).permute(2, 0, 1)
    h, (after,) = process.network.step(torch.from_numpy(types), torch.from_numpy(gap), (memory,))
    want = np.where(moved, (process.baseline + process.head(h)).T.numpy(), 0.0)
    kept = np.where(moved, after.permute(1, 2, 0).numpy(), before[:, :width])
    return base, want, states[:, :width], kept


@pytest.mark.parametrize("options", CASES)
def test_an_event_gives_the_base_and_the_states_of_the_network(options):
    process = random_process(**options)
    base, want, states, kept = one_event(process, network_weights(process))
    np.testing.assert_allclose(base, want, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(states, kept, rtol=2e-5, atol=2e-5)


def test_a_changed_weight_is_seen():
    """What the test above would not see if it compared loosely."""
    process = random_process(**CASES[0])
    weights = network_weights(process)
    for name in ("gaps", "read_write_bias", "rate", "skip", "scan_gain", "widen_bias", "head_bias"):
        part = getattr(weights, name)
        base, want, *_ = one_event(process, weights._replace(**{name: part + np.float32(0.01)}))
        assert np.abs(base - want).max() > 1e-4, name


def test_what_the_compiled_network_cannot_express():
    assert compilable(MambaHawkesProcess(2))
    for options in ({"layers": 2}, {"count_scales": 1}, {"clock_periods": 1}):
        assert not compilable(MambaHawkesProcess(2, **options))
