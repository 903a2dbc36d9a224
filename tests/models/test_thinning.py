"""Thinning: exact bounds, reproducible items, the right law, and an end to explosions."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import EventBatch
from models.goodness import time_rescaling
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, NeuralHawkesProcess, PoissonProcess, save
from models.thinning import SimulationError, simulate


def empty(rows, t_end=0.0):
    return EventBatch.from_sequences([[]] * rows, [[]] * rows, t_end=[t_end] * rows)


def hawkes(*, branching=0.5, num_types=2, rate=1.5):
    process = ExponentialHawkes(num_types, shared=True).requires_grad_(False)
    process.baseline.copy_(torch.linspace(0.3, 0.6, num_types))
    process.excitation.branching.copy_(torch.rand(num_types, num_types, 1, generator=torch.Generator().manual_seed(1)))
    process.excitation.branching.mul_(branching / process.branching_ratio())
    process.excitation.log_rate.fill_(math.log(rate))
    return process


def neural(form, *, seed=0):
    torch.manual_seed(seed)
    process = MambaHawkesProcess(3, intensity=form, hidden=8, state=4).double().requires_grad_(False)
    process.head.weight.normal_(std=0.3)
    process.baseline.fill_(-1.0)
    if form == "mufm":
        process.slope.copy_(torch.tensor([-0.2, 0.1, 0.3]))  # types that fall and types that rise
    else:
        process.excitation.branching.fill_(0.15)
        process.excitation.log_rate.uniform_(-0.5, 1.5)
    return process.eval()


def lstm(*, seed=0):
    torch.manual_seed(seed)
    process = NeuralHawkesProcess(3, hidden=6).double().requires_grad_(False)
    process.head.weight.normal_(std=1.5)
    process.log_softness.fill_(-0.7)
    return process.eval()


def own_decays():
    """A rate of its own for each of two exponentials a pair."""
    torch.manual_seed(3)
    process = ExponentialHawkes(3, decays=2).requires_grad_(False)
    process.baseline.uniform_(0.2, 0.6)
    process.excitation.branching.uniform_(0.0, 0.13)
    process.excitation.log_rate.uniform_(-1.0, 2.0)
    return process


PROCESSES = {
    "exponential": hawkes,
    "own decays": own_decays,
    "m3tr": lambda: neural("m3tr"),
    "mufm": lambda: neural("mufm"),
    "neural hawkes": lambda: lstm(),
    "poisson": lambda: PoissonProcess(2).double().requires_grad_(False),
}


class Plain(ExponentialHawkes):
    """The classical process by the path that every process can take, which is not compiled."""


@pytest.mark.parametrize("history", ["updated", "frozen"])
@pytest.mark.parametrize("make", [hawkes, own_decays])
@pytest.mark.parametrize("stop", [{"until": 25.0}, {"length": 90}, {"until": 25.0, "length": 30}])
def test_the_compiled_path_draws_the_same_events(make, history, stop):
    process = make()
    plain = Plain(**process.config()).requires_grad_(False)
    plain.load_state_dict(process.state_dict())
    batch = EventBatch.from_sequences([[0.5, 0.5], [], [1.0, 1.5]], [[0, 1], [], [1, 0]], t_end=[2.0, 0.0, 1.5])
    found, expected = (simulate(each, batch, seeds=[3, 4, 5], history=history, **stop) for each in (process, plain))
    assert found.num_events > 40
    assert found.lengths.tolist() == expected.lengths.tolist()
    assert torch.equal(found.types, expected.types)
    torch.testing.assert_close(found.times, expected.times, rtol=1e-11, atol=0)
    torch.testing.assert_close(found.t_end, expected.t_end, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", PROCESSES)
def test_an_item_gets_the_same_events_in_any_batch(name):
    process = PROCESSES[name]()
    batch = EventBatch.from_sequences([[0.5], [], [1.0, 1.5], []], [[0], [], [1, 1], []], t_end=[2.0, 0.0, 1.5, 1.0])
    seeds = [11, 12, 13, 14]
    together = simulate(process, batch, until=12.0, seeds=seeds)
    for row in range(4):
        alone = simulate(process, batch[[row]], until=12.0, seeds=seeds[row : row + 1])
        count = int(alone.lengths[0])
        assert count == int(together.lengths[row]) > int(batch.lengths[row])
        assert alone.types[0, :count].tolist() == together.types[row, :count].tolist()
        torch.testing.assert_close(alone.times[0, :count], together.times[row, :count], rtol=1e-12, atol=0)
    assert together.types[1].tolist() != together.types[3].tolist()


def test_observed_events_are_kept_and_the_rest_follows():
    batch = EventBatch.from_sequences([[0.5, 1.0], []], [[1, 0], []], t_end=[2.0, 3.0])
    result = simulate(hawkes(), batch, length=30, seeds=[1, 2])
    assert result.lengths.tolist() == [30, 30]
    assert result.times[0, :2].tolist() == [0.5, 1.0] and result.types[0, :2].tolist() == [1, 0]
    assert float(result.times[0, 2]) > 2.0 and float(result.times[1, 0]) > 3.0
    assert result.t_end.tolist() == result.times[:, -1].tolist()
    both = simulate(hawkes(), batch, length=30, until=torch.tensor([2.0, 60.0]), seeds=[1, 2])
    assert both.lengths.tolist() == [2, 30] and float(both.t_end[0]) == 2.0


def test_a_sequence_that_has_its_length_gains_nothing():
    batch = EventBatch.from_sequences([[0.5, 1.0]], [[1, 0]], t_end=[2.0])
    result = simulate(hawkes(), batch, length=1, seeds=[1])
    assert result.lengths.tolist() == [2] and result.t_end.tolist() == [2.0]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("form", ["m3tr", "mufm"])
def test_every_type_is_monotone_on_every_gap_so_its_ends_bound_it(form, seed):
    """What makes the bound exact: between events each type's intensity never exceeds the larger of its ends."""
    process = neural(form, seed=seed % 7)
    batch = simulate(process, empty(1), until=8.0, seeds=[seed])
    for gap in range(int(batch.lengths[0]) + 1):
        begin = 0.0 if gap == 0 else float(batch.times[0, gap - 1])
        end = float(batch.times[0, gap]) if gap < int(batch.lengths[0]) else 8.0
        inside = torch.linspace(math.nextafter(begin, math.inf), end, 33, dtype=torch.float64)[None]
        rates = process.intensity(batch, inside)[0]
        steps = rates.diff(dim=0) / rates[:-1]
        assert bool(((steps <= 1e-9).all(0) | (steps >= -1e-9).all(0)).all())
        if form == "m3tr":
            assert bool((steps <= 1e-9).all())


def test_the_bound_of_a_neural_process_holds_between_the_ends_of_an_interval():
    """Its intensities need not be monotone between events, so that both ends may be lower than the middle."""
    beyond_both_ends = 0
    for seed in range(12):
        process = lstm(seed=seed)
        levels = process.encode(simulate(process, empty(1), until=6.0, seeds=[seed]))
        levels = levels.at(torch.zeros(levels.base.shape[1], dtype=torch.int64), torch.arange(levels.base.shape[1]))
        start, end = (torch.full((len(levels.base),), at, dtype=torch.float64) for at in (0.1, 2.0))
        rates = process.rate(levels, torch.linspace(0.1, 2.0, 65, dtype=torch.float64).expand(len(start), -1))
        bound = process.upper_bound(levels, start, end)
        assert bool((rates <= bound[:, None] * (1 + 1e-12)).all())
        beyond_both_ends += int((rates.amax(1) > torch.maximum(rates[:, 0], rates[:, -1]) * (1 + 1e-9)).sum())
    assert beyond_both_ends > 0


def test_an_intensity_above_its_bound_is_an_error():
    class Broken(ExponentialHawkes):
        def rate(self, levels, elapsed):  # grows between events, and says that it does not
            return super().rate(levels, elapsed) * (1 + elapsed[..., None])

    process = Broken(2).requires_grad_(False)
    with pytest.raises(SimulationError, match=r"sequence 0: the intensity .* exceeds its bound"):
        simulate(process, empty(1), until=100.0, seeds=[0])


@pytest.mark.parametrize("level", [math.nan, math.inf])
@pytest.mark.parametrize("name", PROCESSES)
def test_an_intensity_that_is_not_a_finite_number_is_an_error(name, level):
    process = PROCESSES[name]()
    next(process.parameters())[1] = level
    with pytest.raises(SimulationError, match=r"sequence 0: the intensity .* is not a finite number"):
        simulate(process, empty(2), until=5.0, seeds=[0, 1])


class Counted(MambaHawkesProcess):
    """Stops a simulation that goes on proposing."""

    calls = 0

    def rate(self, levels, elapsed):
        Counted.calls += 1
        assert Counted.calls < 3000
        return super().rate(levels, elapsed)


@pytest.mark.parametrize(("start", "slope"), [(-14.0, 1.0), (-1000.0, 1.0), (-10.0, 1e-3)])
def test_an_intensity_that_rises_from_next_to_nothing_is_followed(start, slope):
    """exp(-1000) is 0 in float64: a bound as far ahead as 2 events at the present rate would be met by no proposal."""
    process = Counted(2, intensity="mufm", hidden=4, state=2).double().requires_grad_(False)
    process.head.weight.zero_()
    process.baseline.fill_(start)
    process.slope.copy_(torch.tensor([slope, -0.1]))
    Counted.calls = 0
    result = simulate(process, empty(200), length=2, seeds=range(200))
    assert result.lengths.tolist() == [2] * 200
    assert time_rescaling(process, result).p_value > 0.01


def test_an_unstable_process_is_refused_with_its_ratio():
    process = hawkes(branching=1.2)
    with pytest.raises(SimulationError, match=r"branching ratio is 1\.200"):
        simulate(process, empty(1), until=1e9, seeds=[0])
    with pytest.raises(SimulationError, match="branching ratio"):
        simulate(process, empty(1), until=1e9, seeds=[0], allow_unstable=True)
    assert simulate(process, empty(1), length=50, seeds=[0], allow_unstable=True).lengths.tolist() == [50]


def test_a_run_away_is_stopped():
    with pytest.raises(SimulationError, match="sequence 1 grew by more than max_events = 100"):
        simulate(hawkes(branching=0.9), empty(2), until=torch.tensor([1.0, 1e6]), seeds=[0, 1], max_events=100)


def test_a_process_that_fell_silent_is_an_error_without_an_end():
    process = ExponentialHawkes(1).requires_grad_(False)
    process.baseline.zero_()
    with pytest.raises(SimulationError, match=r"sequence 0: the intensity is 0"):
        simulate(process, empty(1), length=3, seeds=[0])
    assert simulate(process, empty(1), until=5.0, seeds=[0]).lengths.tolist() == [0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"until": None}, "needs `length`, `until` or both, given neither"),
        ({"history": "none"}, "updated, frozen"),
        ({"seeds": [1]}, "1 seeds for 2 sequences"),
        ({"max_events": -1}, "max_events must be at least 0; given -1"),
        ({"until": math.nan}, r"sequence 0: until nan is before its t_end 1\.0"),
        ({"until": torch.tensor([5.0, 0.5])}, r"sequence 1: until 0\.5 is before its t_end 1\.0"),
    ],
)
def test_refuses_what_makes_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        simulate(hawkes(), empty(2, t_end=1.0), **({"until": 5.0, "seeds": [1, 2]} | change))


def test_a_shifted_clock_with_its_start_gives_the_same_events():
    process, batch = neural("m3tr"), EventBatch.from_sequences([[1.0, 2.0], []], [[0, 1], []], t_end=[3.0, 1.0])
    moved = EventBatch(
        batch.times + 2.0**20, batch.types, batch.lengths, batch.t_end + 2.0**20, batch.t_start + 2.0**20
    )
    want = simulate(process, batch, length=8, seeds=[1, 2])
    got = simulate(process, moved, length=8, seeds=[1, 2])
    torch.testing.assert_close(got.times - 2.0**20, want.times, rtol=0, atol=1e-7)
    assert torch.equal(got.types, want.types) and torch.equal(got.t_start, moved.t_start)


def test_one_seed_for_all_is_refused_in_words():
    with pytest.raises(TypeError, match="one integer for each of the 3 sequences; given 0"):
        simulate(hawkes(), empty(3), length=2, seeds=0)


def test_a_negative_length_is_refused():
    with pytest.raises(ValueError, match="sequence 1: length must be at least 0; given -4"):
        simulate(hawkes(), empty(2), length=torch.tensor([3, -4]), seeds=range(2))


def test_a_seed_is_an_integer():
    with pytest.raises(TypeError, match="integer"):  # 0.2 and 0.7 would be the same one
        simulate(hawkes(), empty(2), until=5.0, seeds=[0.2, 0.7])
    listed, given = (simulate(hawkes(), empty(2), until=5.0, seeds=s) for s in ([3, 4], torch.tensor([3, 4]).int()))
    assert torch.equal(listed.times, given.times)


def test_mean_counts_are_those_of_theory():
    """E[N(T)] of a linear Hawkes process: with one decay rate b, dE[lambda] = b mu + (A - b) E[lambda], A = b G."""
    process, horizon, rows = hawkes(branching=0.6), 12.0, 3000
    result = simulate(process, empty(rows), until=horizon, seeds=range(rows))
    counts = torch.stack([((result.types == kind) & result.mask).sum(1) for kind in range(2)], dim=1).double()
    b, mu, G = 1.5, process.baseline, process.excitation.branching[..., 0]
    steps = 20_000
    rate, total = mu.clone(), torch.zeros(2, dtype=torch.float64)
    for _ in range(steps):  # midpoint rule
        middle = rate + 0.5 * horizon / steps * (b * mu + b * (G @ rate) - b * rate)
        total += middle * horizon / steps
        rate = rate + horizon / steps * (b * mu + b * (G @ middle) - b * middle)
    error = counts.std(0) / math.sqrt(rows)
    assert bool(((counts.mean(0) - total).abs() < 3 * error).all()), (counts.mean(0), total, error)


def rejections(process, rows, horizon, seeds):
    """How many of the seeds' simulations fail a KS test at 5 % under the process that made them."""
    failed = 0
    for seed in seeds:
        batch = simulate(process, empty(rows), until=horizon, seeds=[seed * rows + row for row in range(rows)])
        failed += time_rescaling(process, batch).p_value < 0.05
    return failed


@pytest.mark.parametrize("name", list(PROCESSES)[:4])  # the others in the slow test below
def test_residuals_of_what_was_simulated_are_exponential(name):
    """At a true rate of 5 % more than 9 of 60 rejections have a probability of 0.1 %."""
    assert rejections(PROCESSES[name](), rows=3, horizon=20.0, seeds=range(60)) <= 9


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
def test_residuals_pass_at_the_nominal_rate_over_200_seeds(name):
    """Binomial(200, 5 %): between 2 and 21 rejections with a probability of 99.8 %."""
    assert 2 <= rejections(PROCESSES[name](), rows=10, horizon=25.0, seeds=range(1000, 1200)) <= 21


def invert(process, rows, horizon, generator):
    """Sampling by inversion, the slow way: the next event is where the total compensator has grown by Exp(1).

    All sequences at once, and the place found by bisection. Returns the times of each.
    """
    times, types = [[] for _ in range(rows)], [[] for _ in range(rows)]
    now, going = torch.zeros(rows, dtype=torch.float64), list(range(rows))
    while going:
        batch = EventBatch.from_sequences(
            [times[row] for row in going], [types[row] for row in going], t_end=now[going].tolist()
        )
        low, high = now[going], torch.full((len(going),), horizon, dtype=torch.float64)
        target = process.compensator(batch, low).sum(1) + torch.from_numpy(generator.exponential(size=len(going)))
        comes = process.compensator(batch, high).sum(1) >= target
        for _ in range(40):
            middle = (low + high) / 2
            early = process.compensator(batch, middle).sum(1) < target
            low, high = torch.where(early, middle, low), torch.where(early, high, middle)
        rates = process.intensity(batch, high[:, None])[:, 0].numpy()
        for place in comes.nonzero().squeeze(1).tolist():
            row, share = going[place], rates[place] / rates[place].sum()
            times[row].append(float(high[place]))
            types[row].append(int(generator.choice(len(share), p=share)))
            now[row] = high[place]
        going = [row for row, come in zip(going, comes.tolist()) if come]
    return times


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
def test_agrees_with_inversion_sampling(name):
    """Counts, first and last times of the two samplers, by two-sample KS tests at 0.1 %."""
    from scipy.stats import ks_2samp

    process, rows, horizon = PROCESSES[name](), 400, 4.0
    slow = invert(process, rows, horizon, np.random.default_rng(5))
    fast = simulate(process, empty(rows), until=horizon, seeds=range(rows))
    assert ks_2samp([len(times) for times in slow], fast.lengths.numpy()).pvalue > 1e-3
    first = [times[0] if times else horizon for times in slow]
    assert ks_2samp(first, fast.times[:, 0].numpy()).pvalue > 1e-3
    last = [times[-1] if times else 0.0 for times in slow]
    ends = fast.times.gather(1, (fast.lengths - 1).clamp_min(0)[:, None]).squeeze(1)
    assert ks_2samp(last, torch.where(fast.lengths > 0, ends, 0.0).numpy()).pvalue > 1e-3


ON_A_WORKER = """
import sys, torch
from models.hawkes import load
from models.events import EventBatch
from models.thinning import simulate
torch.set_num_threads(int(sys.argv[2]))
batch = simulate(load(sys.argv[1]), EventBatch.from_sequences([[]], [[]], t_end=[0.0]), until=6.0, seeds=[42])
print(batch.times[0].tolist(), batch.types[0].tolist())
"""


@pytest.mark.slow
def test_an_item_gets_the_same_events_on_any_worker(tmp_path):
    """In two processes with different numbers of threads, and beside others in this one."""
    process = neural("m3tr")
    save(process, tmp_path)
    command = [sys.executable, "-c", ON_A_WORKER, str(tmp_path)]
    said = {
        subprocess.run([*command, threads], check=True, stdout=subprocess.PIPE, text=True).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1
    here = simulate(process, empty(3), until=6.0, seeds=[7, 42, 8])[[1]]
    times, types = json.loads("[" + said.pop().replace("] [", "], [") + "]")
    assert here.types[0].tolist() == types and here.times[0].tolist() == pytest.approx(times, rel=1e-12)


def test_a_frozen_history_makes_a_poisson_process():
    """The papers' variant: given what was observed, counts in the window are Poisson, not overdispersed."""
    process, rows = hawkes(branching=0.8), 2000
    observed = EventBatch.from_sequences([[0.0, 0.1, 0.2]] * rows, [[0, 1, 0]] * rows, t_end=[0.2] * rows)
    frozen = simulate(process, observed, until=4.0, seeds=range(rows), history="frozen")
    counts = (frozen.lengths - 3).double()
    want = float(process.compensator(observed[[0]], torch.tensor([4.0])).sum())
    want -= float(process.compensator(observed[[0]], torch.tensor([0.2])).sum())
    assert abs(float(counts.mean()) - want) < 4 * math.sqrt(want / rows)
    assert 0.85 < float(counts.var() / counts.mean()) < 1.15
    updated = simulate(process, observed, until=4.0, seeds=range(rows))
    assert float((updated.lengths - 3).double().var()) > 1.5 * want


def test_simulating_leaves_the_process_as_it_was():
    process = neural("m3tr").float().train()
    before = {name: value.clone() for name, value in process.state_dict().items()}
    simulate(process, empty(2), until=3.0, seeds=[0, 1])
    assert process.training
    for name, value in process.state_dict().items():
        assert value.dtype == before[name].dtype and torch.equal(value, before[name])
