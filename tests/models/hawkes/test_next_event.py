"""The next event's type and time, where they are known and against simulation."""

import math

import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, next_event
from models.thinning import simulate
from tests.models.hawkes.conftest import make_batch, make_process


def test_of_a_poisson_process_it_is_known():
    process = ExponentialHawkes(2, shared=True).requires_grad_(False)
    process.baseline.copy_(torch.tensor([0.3, 0.1]))
    process.excitation.branching.zero_()
    result = next_event(process, make_batch(num_types=2))
    assert bool(torch.isclose(result.type_probability[..., 0], torch.tensor(0.75).double()).all())
    torch.testing.assert_close(
        result.median_gap, torch.full_like(result.median_gap, math.log(2) / 0.4), rtol=1e-3, atol=0
    )


def test_agrees_with_simulation(process):
    """The next event after an observed history, 4,000 times: shares of types and of the median within 4 std. errors."""
    rows = 4000
    history = EventBatch.from_sequences([[0.5, 0.9, 1.4]], [[0, 2, 1]])
    result = next_event(process, history)
    copies = history[[0] * rows]
    drawn = simulate(process, copies, length=4, seeds=range(rows))
    share = torch.bincount(drawn.types[:, 3], minlength=3) / rows
    want = result.type_probability[0, 3]
    assert float(want.sum()) == pytest.approx(1.0)
    assert bool(((share - want).abs() < 4 * (want * (1 - want) / rows).sqrt()).all()), (share, want)
    gaps = drawn.times[:, 3] - 1.4
    assert float((gaps < result.median_gap[0, 3]).double().mean()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(rows))


def test_the_median_where_bursts_are_short_and_waits_long():
    """Decay rates from 2,000 to 0.003 and a baseline of 1e-5: the compensator at the median is log 2."""
    process = ExponentialHawkes(2, decays=3, shared=True).requires_grad_(False)
    process.excitation.log_rate.copy_(torch.tensor([2000.0, 2.0, 0.003]).log().expand_as(process.excitation.log_rate))
    process.excitation.branching.copy_(torch.tensor([0.3, 0.0, 0.02]).expand_as(process.excitation.branching))
    process.baseline.fill_(1e-5)
    batch = EventBatch.from_sequences([[1.0], [1.0, 1.0002, 3.0]], [[0], [1, 1, 0]])
    result = next_event(process, batch)
    for row in range(2):
        last = int(batch.lengths[row])
        at = batch.times[row, last - 1] + result.median_gap[row, last]
        assert 1.0 < float(at) < 1e6
        before, after = (process.compensator(batch[[row]], t[None])[0].sum() for t in (batch.t_end[row], at))
        assert float(after - before) == pytest.approx(math.log(2), rel=1e-9)


@pytest.mark.parametrize(("start", "slope"), [(-1000.0, 1.0), (-14.0, 1.0), (-10.0, 1e-3), (-3.0, 1e5), (2.0, 1e-6)])
def test_the_median_where_an_intensity_rises_from_next_to_nothing(start, slope):
    process = make_process("mufm").double()
    process.head.weight.zero_()
    process.baseline.copy_(torch.tensor([start, start - 1, -50.0]))
    process.slope.copy_(torch.tensor([slope, slope, -0.1]))
    batch = EventBatch.from_sequences([[]], [[]])
    result = next_event(process, batch)
    by_type = process.compensator(batch, result.median_gap[:, 0])[0]
    assert float(by_type.sum()) == pytest.approx(math.log(2), rel=1e-6)
    furthest = float(result.median_gap[0, 0]) * (12 if start == -10 else 3 if start < -5 else 60)
    at = torch.linspace(0, furthest, 200_001, dtype=torch.float64)
    rates = process.intensity(batch, at[None])[0]
    passed = torch.cat([rates.new_zeros(1, 3), torch.cumulative_trapezoid(rates, at, dim=0)])
    want = torch.trapezoid(rates * torch.exp(-passed.sum(1, keepdim=True)), at, dim=0)
    torch.testing.assert_close(result.type_probability[0, 0], want, rtol=1e-3, atol=1e-6)


def test_a_process_that_may_fall_silent_says_so_and_which_type_it_would_be():
    process = make_process("mufm")
    process.slope.fill_(-5.0)
    process.baseline.sub_(5.0)
    result = next_event(process, make_batch())
    assert bool(torch.isinf(result.median_gap).all())
    torch.testing.assert_close(result.type_probability.sum(-1), torch.ones_like(result.median_gap))
