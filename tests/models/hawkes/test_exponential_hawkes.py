"""The classical process against an O(n^2) reference, tick's numbers, and the Poisson process."""

import json
import os
import subprocess
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import EventBatch
from models.hawkes import ExponentialHawkes
from models.hawkes.excitation import Excitation
from tests.models.hawkes.conftest import make_batch


def reference(process, batch, window):
    """Log-likelihood and compensator by the definition: every pair of events, one sum at a time, float64."""
    mu, G, delta = process.baseline, process.excitation.branching, process.excitation.rate
    delta = delta.expand_as(G)
    k = process.num_types
    likelihoods, compensators = [], []
    for row in range(len(batch)):
        times = batch.times[row, : batch.lengths[row]]
        types = batch.types[row, : batch.lengths[row]]
        begin, end = torch.tensor(0.0, dtype=torch.float64), batch.t_end[row]
        if window == "events":
            begin, end = (times[0], times[-1]) if len(times) else (begin, begin)
        total = torch.zeros((), dtype=torch.float64)
        for i in range(len(times)):
            if window == "events" and i == 0:
                continue
            rate = mu[types[i]]
            for j in range(len(times)):
                if times[j] < times[i]:
                    kernel = G[types[i], types[j]] * delta[types[i], types[j]]
                    rate = rate + (kernel * torch.exp(-delta[types[i], types[j]] * (times[i] - times[j]))).sum()
            total = total + rate.log()
        integrals = []
        for kind in range(k):
            integral = mu[kind] * (end - begin)
            for j in range(len(times)):
                left = (end - times[j]).clamp_min(0)
                integral = integral + (G[kind, types[j]] * (1 - torch.exp(-delta[kind, types[j]] * left))).sum()
            integrals.append(integral)
        compensators.append(torch.stack(integrals))
        likelihoods.append(total - compensators[-1].sum())
    return torch.stack(likelihoods), torch.stack(compensators)


def random_process(*, decays, shared, seed):
    torch.manual_seed(seed)
    process = ExponentialHawkes(3, decays=decays, shared=shared)
    process.baseline.data.uniform_(0.1, 1.0)
    process.excitation.branching.data.uniform_(0.0, 0.3)
    process.excitation.log_rate.data.uniform_(-3.0, 3.0)
    return process


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("window", ["observation", "events"])
@pytest.mark.parametrize("shared", [False, True])
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), decays=st.integers(1, 3), ties=st.booleans())
def test_equals_the_definition_with_gradients(compiled, shared, window, seed, decays, ties):
    process = random_process(decays=decays, shared=shared, seed=seed)
    batch = make_batch(seed=seed, rows=3, longest=9, ties=ties)
    want, integral = reference(process, batch, window)
    with mock.patch.object(Excitation, "_compiled", lambda *_: compiled):  # elsewhere than on a CPU nothing is
        got = process.log_likelihood(batch, window=window)
        own, caused = process.log_likelihood_parts(batch, window=window)
        if window == "observation":
            torch.testing.assert_close(process.compensator(batch), integral, rtol=1e-8, atol=1e-8)
    weights = torch.tensor([0.3, 1.0, -2.0], dtype=torch.float64)
    parameters = list(process.parameters())
    expected = torch.autograd.grad((want * weights).sum(), parameters)
    assert own.shape == batch.times.shape
    torch.testing.assert_close(caused, integral, rtol=1e-8, atol=1e-8)
    for found in (got, own.sum(1) - caused.sum(1)):
        torch.testing.assert_close(found, want, rtol=1e-8, atol=1e-8)
        for a, b in zip(torch.autograd.grad((found * weights).sum(), parameters, retain_graph=True), expected):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


# What tick 0.8.0.2 gives for these events: ModelHawkesExpKernLogLik(1.3), an event, its likelihood being relative to a
# unit Poisson process a type. Made by `PYTHON tests/benchmarks/tick_peer.py numbers` with an interpreter that has tick.
TICK_TIMES = [
    [0.063, 2.702, 3.602, 7.501, 9.308, 9.565, 9.855, 10.483, 10.767],
    [1.442, 1.938, 4.541, 4.981, 5.513, 5.6, 7.134, 8.901, 8.96],
]
TICK_TYPES = [[0, 1, 2, 0, 1, 0, 2, 0, 2], [1, 0, 0, 1, 0, 0, 1, 2, 1]]
TICK_LOSS = -1.0701535082534892
TICK_BASELINE = [0.031346457271415336, 0.5935140989119204, 0.4708362408211402]
TICK_BRANCHING = [
    [0.16828362998684823, -0.09422244642005546, 0.08246838483909173],
    [0.3207678344102767, 0.2546130767454826, 0.0558368293793545],
    [0.1284403581767534, 0.04776339211264624, 0.10756016472540923],
]


def test_equals_tick():
    process = ExponentialHawkes(3, shared=True)
    process.baseline.data = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
    matrix = torch.tensor([[0.1, 0.2, 0.05], [0.3, 0.15, 0.1], [0.02, 0.25, 0.4]], dtype=torch.float64)
    process.excitation.branching.data = matrix[..., None].clone()
    process.excitation.log_rate.data.fill_(1.3).log_()
    batch = EventBatch.from_sequences(TICK_TIMES, TICK_TYPES, t_end=[12.0, 9.0])
    loss = -(process.log_likelihood(batch).sum() + 3 * batch.t_end.sum()) / batch.num_events
    loss.backward()
    assert float(loss.detach()) == pytest.approx(TICK_LOSS, abs=1e-8)
    assert process.baseline.grad.tolist() == pytest.approx(TICK_BASELINE, abs=1e-8)
    gradient = process.excitation.branching.grad[..., 0]
    torch.testing.assert_close(gradient, torch.tensor(TICK_BRANCHING, dtype=torch.float64), rtol=0, atol=1e-8)


@pytest.mark.skipif("TICK_PYTHON" not in os.environ, reason="TICK_PYTHON names no interpreter that has tick")
def test_tick_still_says_so():
    script = Path(__file__).parents[2] / "benchmarks" / "tick_peer.py"
    done = subprocess.run(
        [os.environ["TICK_PYTHON"], str(script), "numbers"], check=True, stdout=subprocess.PIPE, text=True
    )
    numbers = json.loads(done.stdout.splitlines()[-1])
    assert numbers["loss"] == pytest.approx(TICK_LOSS, abs=1e-12)
    assert numbers["baseline"] == pytest.approx(TICK_BASELINE, abs=1e-12)
    for got, want in zip(numbers["branching"], TICK_BRANCHING):
        assert got == pytest.approx(want, abs=1e-12)


def test_without_excitation_it_is_a_poisson_process():
    process = random_process(decays=2, shared=False, seed=1)
    process.excitation.branching.data.zero_()
    batch = make_batch(seed=1)
    counts = torch.stack([torch.bincount(batch.types[r, : batch.lengths[r]], minlength=3) for r in range(4)])
    want = (counts * process.baseline.log()).sum(1) - process.baseline.sum() * batch.t_end
    torch.testing.assert_close(process.log_likelihood(batch), want, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(process.compensator(batch), process.baseline * batch.t_end[:, None])


def test_thousands_of_events_need_memory_linear_in_their_number():
    count = 20_000  # n^2 pairs of float64 would be 3.2 GB
    times = torch.arange(count, dtype=torch.float64)[None] / 7
    batch = EventBatch(times, (torch.arange(count) % 2)[None], torch.tensor([count]), times[:, -1])
    process = ExponentialHawkes(2, shared=True)
    process.log_likelihood(batch).sum().backward()
    assert torch.isfinite(process.excitation.log_rate.grad).all()


def test_refuses_sizes_below_one():
    with pytest.raises(ValueError, match="at least 1; given 0 and 1"):
        ExponentialHawkes(0)


@pytest.mark.parametrize("shared", [True, False])
def test_the_digits_do_not_hang_on_the_threads(shared):
    """200 sequences, in more than one chunk: with any number of threads the same, and the sum of what their parts give."""
    process, batch = random_process(decays=2, shared=shared, seed=3), make_batch(rows=200, seed=5)

    def gradients(rows):
        process.zero_grad()
        value = process.log_likelihood(batch[rows])
        value.sum().backward()
        return value.detach(), [p.grad.clone() for p in process.parameters()]

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        value, alone = gradients(slice(None))
        torch.set_num_threads(3)
        again, shared_out = gradients(slice(None))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(value, again)
    assert all(torch.equal(one, other) for one, other in zip(alone, shared_out))
    parts = [gradients(slice(begin, begin + 50))[1] for begin in range(0, 200, 50)]
    for whole, *pieces in zip(alone, *parts):
        torch.testing.assert_close(whole, sum(pieces), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shared", [True, False])
def test_an_impossible_sequence_leaves_the_others_their_gradients(shared):
    """Its first event has an intensity of 0, so that its likelihood is -inf; weighed by 0 it must not make NaN of the rest."""
    process = random_process(decays=1, shared=shared, seed=2)
    process.baseline.data[0] = 0.0
    batch = EventBatch.from_sequences([[1.0, 2.0], [1.0, 2.0]], [[0, 0], [1, 0]], t_end=[3.0, 3.0])
    value = process.log_likelihood(batch)
    assert value[0] == -torch.inf and torch.isfinite(value[1])
    alone = process.log_likelihood(batch[[1]])[0]
    for got, want in zip(*(torch.autograd.grad(one, list(process.parameters())) for one in (value[1], alone))):
        torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.mark.parametrize("shared", [True, False])
def test_what_never_decays_excites_nobody(shared):
    """A rate of 0 spreads the offspring over all time: likelihood and compensator are those of the Poisson process."""
    process, batch = random_process(decays=2, shared=shared, seed=4), make_batch(seed=4)
    process.excitation.log_rate.data.fill_(-torch.inf)
    torch.testing.assert_close(process.compensator(batch), process.baseline * batch.t_end[:, None])
    silent = random_process(decays=2, shared=shared, seed=4)
    silent.excitation.branching.data.zero_()
    torch.testing.assert_close(process.log_likelihood(batch), silent.log_likelihood(batch))
