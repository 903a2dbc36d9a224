"""What every process promises: left limits, ignored padding and company, an exact clock, a true integral."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import cubature

from models.events import EventBatch, EventError
from models.hawkes.process import spectral_radius
from tests.models.hawkes.conftest import KINDS, make_batch, make_process

SEEDS = st.integers(0, 10**6)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, event=st.integers(0, 5), kind=st.integers(1, 2))
def test_an_event_changes_nothing_up_to_its_own_time(process, seed, event, kind):
    """Neither the type nor the presence of event i is felt at any t <= t_i, and both are felt after it."""
    batch = make_batch(seed=seed, rows=2, longest=6)[[1]]
    event = min(event, int(batch.lengths[0]) - 1)
    others = batch.types.clone()
    others[0, event] = (others[0, event] + kind) % 3
    changed = EventBatch(batch.times, others, batch.lengths, batch.t_end)
    without = EventBatch.from_sequences(
        [batch.times[0, :event].tolist()], [batch.types[0, :event].tolist()], t_end=batch.t_end
    )
    when = float(batch.times[0, event])
    before = torch.linspace(0, when, 9, dtype=torch.float64)[None]
    own = process.intensity(batch, before)
    torch.testing.assert_close(process.intensity(changed, before), own, rtol=0, atol=0)
    torch.testing.assert_close(process.intensity(without, before), own, rtol=1e-12, atol=1e-14)
    after = torch.tensor([[math.nextafter(when, math.inf) + 1e-6]], dtype=torch.float64)
    assert not torch.equal(process.intensity(changed, after), process.intensity(batch, after))


def test_an_event_does_not_see_itself_through_the_embedding():
    process = make_process("m3tr")
    batch = EventBatch.from_sequences([[1.0, 2.0]], [[0, 1]], t_end=[3.0])
    at = torch.tensor([[2.0]], dtype=torch.float64)
    before = process.intensity(batch, at)
    process.network.embedding.weight.data[1] += 1.0
    torch.testing.assert_close(process.intensity(batch, at), before, rtol=0, atol=0)


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, ties=st.booleans())
def test_padding_company_and_order_change_nothing(process, seed, ties):
    batch = make_batch(seed=seed, ties=ties)
    at = torch.rand(len(batch), 5, dtype=torch.float64) * 5
    wide = EventBatch(
        torch.nn.functional.pad(batch.times, (0, 7), value=float("nan")),
        torch.nn.functional.pad(batch.types, (0, 7), value=99),
        batch.lengths,
        batch.t_end,
    )
    order = torch.randperm(len(batch))
    for function in (
        lambda b, q: process.log_likelihood(b),
        lambda b, q: process.compensator(b),
        lambda b, q: process.intensity(b, q),
    ):
        together = function(batch, at)
        torch.testing.assert_close(function(wide, at), together, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(function(batch[order], at[order]), together[order], rtol=1e-11, atol=1e-12)
        alone = torch.cat([function(batch[[row]], at[[row]]) for row in range(len(batch))])
        torch.testing.assert_close(alone, together, rtol=1e-11, atol=1e-12)


def rescaled(process, factor):
    """The same process on a clock whose numbers are `factor` times as large."""
    state = process.state_dict()
    if "time_scale" in state:
        state["time_scale"] = state["time_scale"] * factor
    else:
        state["baseline"] = state["baseline"] / factor
        state["excitation.log_rate"] = state["excitation.log_rate"] - math.log(factor)
    process.load_state_dict(state)
    return process


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, exponent=st.floats(-9, 9), window=st.sampled_from(["observation", "events"]))
@pytest.mark.parametrize("kind", ["exponential", "shared decays", "m3tr", "mufm"])
def test_rescaling_the_clock_costs_exactly_n_log_c(kind, seed, exponent, window):
    factor = 10.0**exponent
    batch = make_batch(seed=seed)
    slow = EventBatch(batch.times * factor, batch.types, batch.lengths, batch.t_end * factor)
    process = make_process(kind)
    own = process.log_likelihood(batch, window=window)
    scored = batch.lengths if window == "observation" else (batch.lengths - 1).clamp_min(0)
    other = rescaled(process, factor).log_likelihood(slow, window=window)
    torch.testing.assert_close(other, own - scored.double() * math.log(factor), rtol=1e-9, atol=1e-9)


def shifted(batch, by):
    return EventBatch(batch.times + by, batch.types, batch.lengths, batch.t_end + by, batch.t_start + by)


def test_nothing_hangs_on_the_clock_s_origin(process):
    """The same sequences on Unix time (seconds), each with its t_start, and with no t_start where the first event starts it."""
    batch, by = make_batch(seed=6, ties=True), 2.0**31
    at = batch.times + 0.25
    moved = shifted(batch, by)
    for function in (
        lambda b, q: process.log_likelihood(b),
        lambda b, q: process.log_likelihood(b, window="events"),
        lambda b, q: process.compensator(b),
        lambda b, q: process.intensity(b, q),
        lambda b, q: process.gap_compensators(b, window="events"),
    ):
        torch.testing.assert_close(function(moved, at + by), function(batch, at), rtol=1e-5, atol=1e-6)
    unaware = EventBatch(moved.times, moved.types, moved.lengths, moved.t_end)
    want = process.log_likelihood(batch, window="events")
    torch.testing.assert_close(process.log_likelihood(unaware, window="events"), want, rtol=1e-5, atol=1e-6)


def test_compensator_is_the_integral_of_the_intensity(process):
    """Against SciPy's adaptive quadrature between events, to 1e-6, over the window and up to any time."""
    batch = make_batch(seed=3, rows=3, longest=6, ties=True)
    upto = torch.tensor([2.0, 4.4, 20.0], dtype=torch.float64)  # before and inside the window, and after it
    for got, ends in ((process.compensator(batch), batch.t_end), (process.compensator(batch, upto), upto)):
        for row, end in enumerate(ends.tolist()):
            alone = batch[[row]]

            def rate(points, alone=alone):
                return process.intensity(alone, torch.from_numpy(points).T)[0].detach().numpy()

            events = alone.times[0, : alone.lengths[0]].tolist()
            knots = sorted({0.0, end, *(t for t in events if t < end)})
            want = sum(cubature(rate, [a], [b], rtol=1e-9, atol=0).estimate for a, b in pairwise(knots))
            assert got[row].tolist() == pytest.approx(want.tolist(), rel=1e-6, abs=1e-12)


@settings(max_examples=5, deadline=None)
@given(seed=SEEDS, window=st.sampled_from(["observation", "events"]))
def test_likelihood_is_log_intensities_less_the_compensator(process, seed, window):
    batch = make_batch(seed=seed, ties=True)
    got = process.log_likelihood(batch, window=window)
    batch = batch.from_first_event() if window == "events" else batch
    rates = process.intensity(batch, batch.times).gather(2, batch.types[..., None]).squeeze(2)
    for row in range(len(batch)):
        count = int(batch.lengths[row])
        first = 1 if window == "events" else 0
        want = float(rates[row, first:count].log().sum())
        if window == "observation":
            want -= float(process.compensator(batch[[row]]).sum())
        elif count:
            ends = torch.stack([batch.times[row, 0], batch.times[row, count - 1]])
            low, high = (float(process.compensator(batch[[row]], end[None]).sum()) for end in ends)
            want -= high - low
        assert float(got[row]) == pytest.approx(want, rel=1e-7, abs=1e-7)


def test_gap_compensators_add_up_to_the_compensator(process):
    batch = make_batch(seed=5)
    torch.testing.assert_close(process.gap_compensators(batch).sum(1), process.compensator(batch), rtol=1e-12, atol=0)


def test_components_add_up(process):
    if not hasattr(process, "components"):
        pytest.skip("its intensity is not a sum of terms")
    batch = make_batch(seed=2)
    at = torch.rand(4, 6, dtype=torch.float64) * 6
    baseline, excitation, neural = process.components(batch, at)
    total = baseline + excitation + neural
    intensity = process.intensity(batch, at)
    assert total.shape == intensity.shape
    if hasattr(process, "time_scale"):
        softness = process.log_softness.exp()
        total = softness * torch.nn.functional.softplus(total / softness) / process.time_scale
    torch.testing.assert_close(total, intensity, rtol=1e-10, atol=1e-12)
    assert (excitation >= 0).all()


def test_sequences_without_events_or_with_one_are_defined(process):
    batch = EventBatch.from_sequences([[], [0.0], [1.0]], [[], [1], [0]], t_end=[2.0, 0.0, 1.0])
    likelihood = process.log_likelihood(batch)
    assert torch.isfinite(likelihood).all()
    assert float(likelihood[0]) == pytest.approx(-float(process.compensator(batch)[0].sum()))
    assert process.log_likelihood(batch, window="events").tolist() == [0.0, 0.0, 0.0]
    none = EventBatch.from_sequences([[], []], [[], []], t_end=[1.0, 0.0])
    assert float(process.log_likelihood(none)[1]) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_type_is_enough(kind):
    """One type: likelihood, compensator and gradients are finite, and ties do not see each other."""
    process = make_process(kind, num_types=1).requires_grad_(True)
    batch = EventBatch.from_sequences([[1.0, 1.0, 2.0], []], [[0, 0, 0], []], t_end=[3.0, 1.0])
    process.log_likelihood(batch).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in process.parameters() if p.grad is not None)
    rates = process.intensity(batch, batch.times)[0, :, 0].detach()
    assert float(rates[0]) == float(rates[1]) != float(rates[2])


def test_bad_queries_are_refused(process):
    batch = make_batch()
    with pytest.raises(EventError, match=r"sequence 0: .*unknown type 5"):
        process.log_likelihood(EventBatch.from_sequences([[1.0]], [[5]]))
    with pytest.raises(ValueError, match=r"sequence 0: .* >= t_start 0.0; given -1.0"):
        process.intensity(batch, torch.full((4, 1), -1.0))
    with pytest.raises(ValueError, match=">= its sequence's t_start"):
        process.compensator(batch, torch.tensor([1.0, 2.0, float("nan"), 3.0]))
    with pytest.raises(ValueError, match="observation, events"):
        process.log_likelihood(batch, window="all")


@pytest.mark.parametrize("kind", ["m3tr", "m3tr shared", "m3tr counts", "mufm"])
def test_event_by_event_is_the_same_as_the_whole_sequence(kind):
    """The history that thinning carries forward gives the intensities of the whole sequence."""
    process = make_process(kind)
    batch = make_batch(seed=8)[[3]]
    count = int(batch.lengths[0])
    snapshot = process.snapshot(EventBatch.from_sequences([[]], [[]], t_end=[0.0]))
    for event in range(count):
        at = batch.times[:, event]
        got = process.rate(snapshot.levels, (at - snapshot.time)[:, None])[0]
        torch.testing.assert_close(got, process.intensity(batch, at[:, None])[0], rtol=1e-9, atol=1e-12)
        snapshot = process.advance(snapshot, at, batch.types[:, event])
    end = process.snapshot(batch)
    for carried, whole in zip((*snapshot.levels, *snapshot.memory), (*end.levels, *end.memory)):
        torch.testing.assert_close(carried, whole, rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 6), seed=SEEDS, scale=st.floats(1e-3, 1e3), zeros=st.floats(0, 1))
def test_the_branching_ratio_is_the_largest_eigenvalue(size, seed, scale, zeros):
    g = torch.Generator().manual_seed(seed)
    matrix = scale * torch.rand(size, size, generator=g, dtype=torch.float64)
    matrix = torch.where(torch.rand(size, size, generator=g) < zeros, 0.0, matrix)
    want = float(torch.linalg.eigvals(matrix).abs().max())
    assert spectral_radius(matrix) == pytest.approx(want, rel=1e-6, abs=1e-4 * scale)  # nilpotent: eigvals is not exact


def test_the_branching_ratio_of_equal_influences_is_their_sum():
    assert spectral_radius(torch.full((22, 22), 0.1 / 22)) == pytest.approx(0.1, rel=1e-6)
    assert spectral_radius(torch.tensor([[0.0, 5.0], [0.0, 0.0]])) == 0.0


@pytest.mark.parametrize("kind", ["m3tr", "mufm"])
def test_training_in_float32_is_close_to_float64(kind):
    process = make_process(kind)
    batch = make_batch(seed=4, longest=40)
    exact = process.log_likelihood(batch)
    torch.testing.assert_close(process.float().log_likelihood(batch), exact, rtol=2e-5, atol=2e-5)


def test_without_an_end_the_compensator_is_what_it_tends_to(process):
    """Infinite where the intensity keeps a level above 0; finite where it falls for ever, as mufm's with a negative slope."""
    batch = make_batch(seed=4)
    endless = process.compensator(batch, upto=torch.full((4,), math.inf))
    far = process.compensator(batch, upto=torch.full((4,), 1e6))
    falling = torch.zeros(3, dtype=torch.bool)
    if getattr(process, "form", None) == "mufm":
        assert process.slope.tolist() == pytest.approx([-0.3, -0.05, 0.2])
        falling = process.slope < 0
    torch.testing.assert_close(endless[:, falling], far[:, falling], rtol=1e-12, atol=0)
    assert bool(torch.isinf(endless[:, ~falling]).all()) and bool(torch.isfinite(far).all())


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind != "poisson"]
)  # PyTorch's own derivatives, of any order
@pytest.mark.parametrize("training", [False, True])
def test_second_derivatives_are_refused_and_not_wrong(kind, training):
    process = make_process(kind).requires_grad_(True).train(training)
    likelihood = process.log_likelihood(make_batch(seed=2)).sum()
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(likelihood, list(process.parameters()), create_graph=True)


def test_second_derivatives_by_the_softness_alone_are_refused_too():
    """Its link is written by hand as well; nothing else on the way takes part."""
    process = make_process("m3tr shared").train()
    softness = process.log_softness.requires_grad_(True)
    likelihood = process.log_likelihood(make_batch(seed=2)).sum()
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(likelihood, softness, create_graph=True)
