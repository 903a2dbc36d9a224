"""Counts in simulated continuations: the right law, the same for any batch, capped where a process explodes."""

import math

import numpy as np
import pytest
import torch

from models import simulated_counts
from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, NeuralHawkesProcess, PoissonProcess
from models.simulated_counts import simulate_counts
from models.thinning import SimulationError, simulate

EACH = torch.eye(2, dtype=torch.bool)
UNTIL = torch.tensor([2.5, 4.0, 8.0])


def hawkes(branching=0.5, shared=True):
    process = ExponentialHawkes(2, shared=shared).requires_grad_(False)
    process.baseline.copy_(torch.tensor([0.3, 0.6]))
    process.excitation.branching.copy_(torch.tensor([[[0.8], [0.3]], [[0.1], [0.6]]]))
    process.excitation.branching.mul_(branching / process.branching_ratio())
    process.excitation.log_rate.fill_(math.log(1.5))
    if not shared:
        process.excitation.log_rate.copy_(torch.tensor([[[0.4], [1.5]], [[-0.5], [0.1]]]))
    return process


def mamba(**options):
    """A process whose network matters: the intensities differ by more than a factor of 2 between histories."""
    torch.manual_seed(0)
    process = MambaHawkesProcess(2, hidden=6, state=3, **options).double().requires_grad_(False)
    process.head.weight.normal_(std=0.8)
    process.baseline.copy_(torch.tensor([-0.5, 0.2]))
    process.log_softness.copy_(torch.tensor([-0.7, 0.2]))
    process.time_scale.fill_(0.6)
    for layer in process.network.layers:
        layer.norm.weight.uniform_(0.5, 2.0)
        layer.norm_scan.weight.uniform_(0.5, 2.0)
        layer.skip.uniform_(0.5, 2.0)
    process.network.norm.weight.uniform_(0.5, 2.0)
    if process.excitation is None:
        process.slope.copy_(torch.tensor([-0.3, 0.1]))  # one type falls, the other one rises
    else:
        process.excitation.branching.fill_(0.15)
    return process.eval()


PROCESSES = {
    "classical": hawkes,
    "classical, own decays": lambda: hawkes(shared=False),
    "m3tr": mamba,
    "m3tr, shared decays, zoh": lambda: mamba(decays=2, shared_decays=True, input_rule="zoh", log_gaps=False),
    "mufm, euler": lambda: mamba(intensity="mufm", input_rule="euler"),
    "two layers": lambda: mamba(layers=2),  # not compiled
    "neural": lambda: NeuralHawkesProcess(2, hidden=4).double(),
    "poisson": lambda: PoissonProcess(2).double(),
}

SLOW = ("two layers", "neural")  # not compiled; "poisson" stands for them by default


def observed():
    return EventBatch.from_sequences([[0.5, 0.5, 1.0], [], [1.0]], [[0, 1, 0], [], [1]], t_end=[1.0, 2.0, 1.5])


def counts_of(process, batch, until=UNTIL, **options):
    options = {"counted": EACH, "continuations": 40, "seeds": range(len(batch))} | options
    return simulate_counts(process, batch, until, **options)


@pytest.mark.parametrize("history", ["updated", "frozen"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in PROCESSES]
)
def test_the_law_is_that_of_simulate(name, history):
    """Means, variances and the whole distribution, for each time and type; at 1e-4 no test fails by chance in a lifetime."""
    from scipy.stats import ks_2samp

    process, rows = PROCESSES[name](), 300
    batch = observed()[[0]]
    found = counts_of(process, batch, continuations=2 * rows, seeds=[3], history=history).counts[0]
    events = simulate(process, batch[[0] * rows], until=8.0, seeds=range(rows), history=history)
    new = events.mask & (torch.arange(events.times.shape[1]) >= 3)
    for place, until in enumerate(UNTIL):
        for kind in range(2):
            want = (new & (events.types == kind) & (events.times <= until)).sum(1).numpy()
            got = found[:, place, kind]
            error = math.sqrt(want.var() / rows + got.var() / len(got))
            assert abs(want.mean() - got.mean()) < 4 * error, (until, kind)
            assert 0.6 < (got.var() + 0.05) / (want.var() + 0.05) < 1.67
            assert ks_2samp(want, got, method="asymp").pvalue > 1e-4


def test_means_are_those_of_theory():
    """E[N(t)] after the observed events, by the linear differential equation of the mean intensity."""
    process, batch, rows = hawkes(), observed()[[0]], 20_000
    found = counts_of(process, batch, torch.tensor([3.0, 9.0]), continuations=rows, seeds=[8])
    decay, mu, branching = 1.5, process.baseline.numpy(), process.excitation.branching[..., 0].numpy()
    rate = mu + branching @ (decay * np.array([math.exp(-0.5 * decay) + 1.0, math.exp(-0.5 * decay)]))  # at t_end = 1
    total, steps = np.zeros(2), 4000
    for step in range(2 * steps):  # midpoint rule; [1, 3], then [3, 9]
        width = (2.0 if step < steps else 6.0) / steps
        middle = rate + 0.5 * width * decay * (mu + branching @ rate - rate)
        total = total + middle * width
        rate = rate + width * decay * (mu + branching @ middle - middle)
        if step in (steps - 1, 2 * steps - 1):
            counts = found.counts[0, :, int(step >= steps)]
            assert (np.abs(counts.mean(0) - total) < 4 * counts.std(0) / math.sqrt(rows)).all(), (total, counts.mean(0))


@pytest.mark.parametrize("name", ["classical", "m3tr", "two layers"])
def test_a_continuation_depends_on_its_row_its_seed_and_its_number_alone(name, monkeypatch):
    process, batch = PROCESSES[name](), observed()
    together = counts_of(process, batch, continuations=70, seeds=[1, 2, 3])
    alone = counts_of(process, batch[[2, 0]], continuations=50, seeds=[3, 1])
    assert together.counts[0].any() and (together.counts[0] != together.counts[1]).any()
    assert np.array_equal(together.counts[[2, 0], :50], alone.counts)
    threads = torch.get_num_threads()
    monkeypatch.setattr(simulated_counts, "CHUNK", 17)
    try:
        torch.set_num_threads(2 if threads == 1 else 1)
        again = counts_of(process, batch, continuations=70, seeds=[1, 2, 3])
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(together.counts, again.counts)
    assert not np.array_equal(together.counts, counts_of(process, batch, continuations=70, seeds=[4, 5, 6]).counts)


@pytest.mark.parametrize("name", ["classical", "m3tr", "two layers"])
def test_counts_rise_and_are_zero_until_the_end_of_the_window(name):
    found = counts_of(PROCESSES[name](), observed(), torch.tensor([0.0, 1.0, 2.0, 4.0, 9.0]))
    assert found.counts.shape == (3, 40, 5, 2) and found.counts.dtype == np.int64
    assert (np.diff(found.counts, axis=2) >= 0).all() and not found.capped.any()
    assert not found.counts[:, :, :2].any() and not found.counts[1, :, 2].any() and found.counts[0, :, 2].any()
    assert found.counts[:, :, -1].mean() > 2
    past = counts_of(PROCESSES[name](), observed(), torch.tensor([[0.5, 1.0], [0.5, 1.0], [1.0, 3.0]]))
    assert not past.counts[:2].any() and past.counts[2].any()


@pytest.mark.parametrize("name", ["m3tr", "two layers"])
def test_groups_are_sums_of_types(name):
    groups = torch.tensor([[True, False], [False, True], [True, True], [False, False]])
    found = counts_of(PROCESSES[name](), observed(), counted=groups).counts
    assert (
        np.array_equal(found[..., 2], found[..., 0] + found[..., 1]) and found[..., 2].any() and not found[..., 3].any()
    )


@pytest.mark.parametrize("name", ["m3tr", "two layers"])
def test_events_up_to_a_later_time_are_simulated_but_not_counted(name):
    """The same continuations: what is counted from 4 on is what all of it exceeds the count until 4 by."""
    process, batch, until = PROCESSES[name](), observed(), torch.tensor([3.0, 4.0, 8.0])
    whole = counts_of(process, batch, until).counts
    later = counts_of(process, batch, until, counted_from=torch.full((3,), 4.0)).counts
    assert not later[:, :, :2].any() and later[:, :, 2].any()
    assert np.array_equal(later[:, :, 2], whole[:, :, 2] - whole[:, :, 1])


@pytest.mark.parametrize("cap", [5, 60])
@pytest.mark.parametrize("compiled", [True, False])
def test_an_explosive_process_is_capped_and_said(cap, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(simulated_counts, "compiled_process", lambda process: None)
    found = counts_of(hawkes(branching=1.5), observed(), torch.tensor([3.0, 60.0]), continuations=20, max_events=cap)
    assert found.capped.all()
    assert (found.counts[:, :, -1].sum(-1) == cap).all()


@pytest.mark.parametrize("name", ["classical", "m3tr", "poisson"])
def test_an_intensity_that_is_not_a_finite_number_is_an_error(name):
    process = PROCESSES[name]().requires_grad_(False)
    next(process.parameters())[1] = math.nan
    with pytest.raises(SimulationError, match=r"sequence 0: the intensity .* is not a finite number"):
        counts_of(process, observed())


def test_no_sequence_gives_no_counts():
    assert counts_of(hawkes(), observed()[[]]).counts.shape == (0, 40, 3, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"history": "none"}, "updated, frozen"),
        ({"seeds": [1]}, "1 seeds for 3 sequences"),
        ({"continuations": 0}, "at least 1; given 0 and 10000"),
        ({"max_events": 0}, "at least 1; given 40 and 0"),
        ({"counted": torch.ones(1, 3, dtype=torch.bool)}, r"counted must be \(groups, 2\) bools; given \(1, 3\)"),
        ({"until": torch.tensor([3.0, 2.0])}, r"finite ascending times; given \[3\.0, 2\.0\]"),
        ({"until": torch.tensor([math.inf])}, "finite ascending times"),
        ({"until": torch.zeros(2, 4)}, r"until must be \(times,\) or \(3, times\); given \(2, 4\)"),
    ],
)
def test_refuses_what_makes_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        counts_of(hawkes(), observed(), **change)
