"""Processes and sequences that the tests of the Hawkes package share."""

import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, NeuralHawkesProcess, PoissonProcess

KINDS = ("exponential", "shared decays", "m3tr", "m3tr shared", "m3tr zoh", "m3tr counts", "mufm", "neural", "poisson")


def make_process(kind, *, num_types=3, seed=0):
    """A process of each kind, float64, stable, with every parameter away from its neutral value."""
    torch.manual_seed(seed)
    if kind in ("exponential", "shared decays"):
        process = ExponentialHawkes(num_types, decays=2, shared=kind == "shared decays")
        process.baseline.data.uniform_(0.2, 0.6)
    elif kind == "neural":
        process = NeuralHawkesProcess(num_types, hidden=6).double()
        process.time_scale.fill_(0.7)
        process.head.weight.data.normal_()
        process.log_softness.data.normal_(std=0.3)
    elif kind == "poisson":
        process = PoissonProcess(num_types).double()
        process.log_shape.data.normal_(std=0.5)
        process.log_exposure.data.normal_(std=0.5)
    else:
        process = MambaHawkesProcess(
            num_types,
            intensity="mufm" if kind == "mufm" else "m3tr",
            hidden=8,
            state=4,
            layers=2,
            decays=2,
            shared_decays=kind == "m3tr shared",
            count_scales=3 if kind in ("m3tr counts", "mufm", "neural", "poisson") else 0,
            clock_periods=2 if kind in ("m3tr counts", "mufm", "neural", "poisson") else 0,
            input_rule="zoh" if kind == "m3tr zoh" else "impulse",
        ).double()
        process.time_scale.fill_(0.7)
        process.baseline.data.uniform_(-1.0, 0.5)
        process.head.weight.data.normal_(std=0.5)
        process.log_softness.data.normal_(std=0.3)
        if kind == "mufm":
            process.slope.data.copy_(torch.linspace(-0.3, 0.2, num_types))
    if process.excitation is not None:
        process.excitation.branching.data.uniform_(0.0, 0.8 / (2 * num_types))
        process.excitation.log_rate.data.uniform_(-1.0, 2.0)
    return process.requires_grad_(False).eval()


def make_batch(*, num_types=3, seed=0, rows=4, longest=12, ties=False):
    """Sequences of various lengths, the first of them empty, with windows that go on after the last event."""
    g = torch.Generator().manual_seed(seed)
    times, types, t_end = [], [], []
    for row in range(rows):
        count = 0 if row == 0 else int(torch.randint(1, longest + 1, (), generator=g))
        when = (5 * torch.rand(count, generator=g, dtype=torch.float64)).sort().values
        if ties and count > 2:
            when[1] = when[2]
        times.append(when.tolist())
        types.append(torch.randint(num_types, (count,), generator=g).tolist())
        t_end.append(5.5 + row)
    return EventBatch.from_sequences(times, types, t_end=t_end)


@pytest.fixture(params=KINDS, scope="module")
def process(request):
    return make_process(request.param)
