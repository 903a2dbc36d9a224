"""Fitting: known parameters come back, zeros are found, a seed makes the fit, and dev decides when to stop."""

import math

import pytest
import torch

from models.events import EventBatch, EventError
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, fit
from models.hawkes.fit import evaluate
from models.hawkes.held_out import hold_out
from models.hawkes.process import spectral_radius
from models.thinning import simulate


def empty(rows):
    return EventBatch.from_sequences([[]] * rows, [[]] * rows, t_end=[0.0] * rows)


def truth(num_types, *, density, seed=0, rate=1.0):
    """A stable process of which a share `density` of the influences is not zero."""
    g = torch.Generator().manual_seed(seed)
    process = ExponentialHawkes(num_types, shared=True).requires_grad_(False)
    pairs = num_types * num_types
    chosen = torch.zeros(pairs, dtype=torch.float64)
    chosen[torch.randperm(pairs, generator=g)[: round(density * pairs)]] = 1
    strength = 0.2 + 0.25 * torch.rand(num_types, num_types, generator=g, dtype=torch.float64)
    process.excitation.branching.copy_((chosen.view(num_types, num_types) * strength)[..., None])
    process.excitation.branching.mul_(min(1.0, 0.8 / max(process.branching_ratio(), 1e-9)))
    process.baseline.uniform_(0.1, 0.3, generator=g)
    process.excitation.log_rate.fill_(math.log(rate))
    return process


@pytest.fixture(scope="module")
def small():
    """Three types, 300 sequences to train on and 60 to stop by."""
    process = truth(3, density=0.6, seed=1, rate=2.0)
    data = simulate(process, empty(360), until=25.0, seeds=range(360))
    return process, data[:300], data[300:]


@pytest.mark.parametrize("shared", [True, False])
def test_maximum_likelihood_recovers_the_parameters(small, shared):
    process, train, dev = small
    fitted = ExponentialHawkes(3, shared=shared)
    report = fit(fitted, train, dev)
    torch.testing.assert_close(fitted.baseline.data, process.baseline, rtol=0.15, atol=0.02)
    torch.testing.assert_close(fitted.branching_matrix(), process.branching_matrix(), rtol=0.25, atol=0.06)
    if shared:
        assert float(fitted.excitation.rate.detach().squeeze()) == pytest.approx(2.0, rel=0.15)
    assert report.branching_ratio == pytest.approx(process.branching_ratio(), abs=0.08)
    # What was fitted is no worse on its own data than the truth, and the curve says what was reached.
    assert evaluate(fitted, train) > evaluate(process, train)
    assert report.best.train == pytest.approx(evaluate(fitted, train), abs=1e-6)
    assert report.best.dev == pytest.approx(evaluate(fitted, dev), abs=1e-6)


def test_several_decays_reach_the_maximum_on_time_scales_far_apart():
    """Rates from 500 to 0.01 beside rare types: no worse than the truth, and no rate of its own leads further up."""
    process = ExponentialHawkes(6, decays=3, shared=True).requires_grad_(False)
    process.excitation.log_rate.copy_(torch.tensor([500.0, 3.0, 0.01]).log().expand_as(process.excitation.log_rate))
    process.excitation.branching.uniform_(0.0, 0.08, generator=torch.Generator().manual_seed(4))
    process.baseline.copy_(torch.logspace(-4, -1, 6))
    data = simulate(process, empty(150), until=300.0, seeds=range(150))
    fitted = ExponentialHawkes(6, decays=3, shared=True)
    fit(fitted, data, data)
    reached = evaluate(fitted, data)
    assert reached > evaluate(process, data)
    slope = torch.autograd.grad(fitted.log_likelihood(data).sum() / data.num_events, fitted.excitation.log_rate)[0]
    assert float(slope.abs().max()) < 3e-4


def recovered(process, fitted):
    true, found = process.branching_matrix() > 0, fitted.branching_matrix() > 0
    both = int((true & found).sum())
    return 2 * both / (int(true.sum()) + int(found.sum()))


@pytest.mark.parametrize("penalty", ["mcp", "scad"])
def test_the_penalty_finds_the_zeros_without_shrinking_the_rest(penalty):
    process = truth(4, density=0.25, seed=3)
    data = simulate(process, empty(500), until=20.0, seeds=range(500))
    fitted = ExponentialHawkes(4, shared=True)
    report = fit(fitted, data[:450], data[450:], penalty=penalty)
    assert recovered(process, fitted) == 1.0 and report.strength > 0
    torch.testing.assert_close(fitted.branching_matrix(), process.branching_matrix(), rtol=0.2, atol=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["mcp", "scad"])
def test_the_support_of_ten_types_is_recovered_from_2000_sequences(penalty):
    """M3TR theorem 3.1: 80 % of the influences are zero."""
    process = truth(10, density=0.2, seed=0)
    data = simulate(process, empty(2100), until=15.0, seeds=range(2100))
    fitted = ExponentialHawkes(10, shared=True)
    fit(fitted, data[:2000], data[2000:], penalty=penalty)
    assert recovered(process, fitted) >= 0.95


def tiny(**options):
    return MambaHawkesProcess(3, hidden=16, state=4, **options)


@pytest.mark.parametrize("form", ["m3tr", "mufm"])
def test_a_neural_process_learns_and_comes_near_the_truth(small, form):
    process, train, dev = small
    fitted = tiny(intensity=form)
    report = fit(fitted, train, dev, epochs=8, batch_size=16, learning_rate=1e-2)
    # m3tr starts at the classical process, of whose kind the truth is, so nothing better may be found
    learned = report.curve[1:] if form == "m3tr" else [report.best]
    assert max(epoch.dev for epoch in learned) > report.curve[0].dev - (0.03 if form == "m3tr" else 0.0)
    assert report.best.dev > evaluate(process, dev) - (0.06 if form == "m3tr" else 0.2)
    assert report.best.dev == pytest.approx(evaluate(fitted, dev), abs=1e-9)
    assert report.branching_ratio <= 0.95 + 1e-6 and not fitted.training


def test_the_same_seed_gives_the_same_process(small):
    _, train, dev = small
    fits = []
    for seed in (1, 1, 2):
        fitted = tiny(dropout=0.1)
        fit(fitted, train[:64], dev[:16], epochs=2, seed=seed)
        fits.append(fitted.state_dict())
    assert all(torch.equal(fits[0][name], fits[1][name]) for name in fits[0])
    assert not torch.equal(fits[0]["network.embedding.weight"], fits[2]["network.embedding.weight"])


def test_it_stops_when_dev_does_not_improve_and_keeps_the_best(small):
    _, train, dev = small
    fitted, seen = tiny(), []
    report = fit(fitted, train[:8], dev, epochs=200, batch_size=8, learning_rate=3e-2, patience=3, progress=seen.append)
    assert len(report.curve) < 200 and report.best_epoch == len(report.curve) - 4
    assert seen == report.curve
    assert report.best.dev == max(epoch.dev for epoch in report.curve)


def test_it_heeds_its_time(small):
    _, train, dev = small
    report = fit(tiny(), train, dev, epochs=10_000, patience=10_000, max_seconds=1.0)
    assert report.seconds < 10


def test_a_fitted_process_goes_on_from_where_it_is(small):
    _, train, dev = small
    fitted = tiny()
    first = fit(fitted, train, dev, epochs=3, learning_rate=1e-2)
    second = fit(fitted, train, dev, epochs=1, learning_rate=1e-4)
    assert second.best.dev > first.curve[0].dev
    assert abs(second.best.dev - first.best.dev) < 0.02


def test_without_dev_a_neural_process_holds_out_a_tenth(small):
    """The same as with the held-out tenth as dev, and never fitted to it."""
    _, train, _ = small
    fitted, again = tiny(), tiny()
    kept, held = hold_out(train[:40], window="observation", seed=3)
    assert (len(kept), len(held)) == (36, 4) and kept.num_events + held.num_events == train[:40].num_events
    report = fit(fitted, train[:40], epochs=1, seed=3)
    assert report.curve[-1].dev == fit(again, kept, held, epochs=1, seed=3).curve[-1].dev
    with pytest.raises(ValueError, match="pass dev, or at least two sequences with events; given 1"):
        fit(tiny(), train[:1])


def test_without_dev_a_classical_process_is_fitted_to_all_and_scored_on_it(small):
    _, train, _ = small
    fitted, again = ExponentialHawkes(3), ExponentialHawkes(3)
    report = fit(fitted, train[:40])
    fit(again, train[:40], train[:40])
    assert report.best.dev == pytest.approx(report.best.train)
    assert torch.equal(fitted.baseline, again.baseline)


def test_the_penalty_empties_a_neural_process_s_matrix_where_it_is_strong(small):
    _, train, dev = small
    fitted = tiny()
    fit(fitted, train, dev, epochs=3, learning_rate=1e-2, penalty="mcp", strength=100.0)
    assert float(fitted.branching_matrix().abs().max()) == 0.0


def test_refuses_what_it_cannot_fit(small):
    _, train, dev = small
    none = EventBatch.from_sequences([[]], [[]], t_end=[1.0])
    with pytest.raises(ValueError, match="the dev set holds no event"):
        fit(tiny(), train, none)
    with pytest.raises(EventError, match="unknown type 2"):
        fit(MambaHawkesProcess(2), train, dev)
    with pytest.raises(ValueError, match="None, mcp, scad"):
        fit(tiny(), train, dev, penalty="lasso")
    with pytest.raises(ValueError, match="a penalty needs a strength"):
        fit(tiny(), train, dev, penalty="mcp")
    with pytest.raises(ValueError, match="no influence matrix"):
        fit(tiny(intensity="mufm"), train, dev, penalty="mcp", strength=0.1)


@pytest.mark.parametrize(
    ("times", "t_end", "change", "message"),
    [
        ([1.0], 2.0, {"window": "events"}, "the train set holds no event to predict: window 'events' leaves out each"),
        ([1.0, 1.0], 2.0, {"window": "events"}, r"no time passes in the training set's windows \('events'\)"),
        ([0.0, 0.0], 0.0, {}, r"no time passes in the training set's windows \('observation'\)"),
        ([1.0, 2.0], 3.0, {"window": "day"}, "allowed: observation, events"),
        ([1.0, 2.0], 3.0, {"max_seconds": 0}, "max_seconds must be above 0; given 0"),
        ([1.0, 2.0], 3.0, {"epochs": 0}, "epochs and batch_size must be at least 1; given 0 and 64"),
        ([1.0, 2.0], 3.0, {"penalty": "scad", "strength": -1.0}, "strength must be at least 0; given -1"),
    ],
)
@pytest.mark.parametrize("make", [ExponentialHawkes, MambaHawkesProcess])
def test_refuses_data_and_numbers_without_a_fit(make, times, t_end, change, message):
    few = EventBatch.from_sequences([times], [[0] * len(times)], t_end=[t_end])
    with pytest.raises(ValueError, match=message):
        fit(make(1), few, few, **change)


def test_a_dev_set_without_an_event_to_predict_is_refused(small):
    """Its score would be 0 whatever the process, and the first epoch the best."""
    first = EventBatch.from_sequences([[1.0]], [[0]], t_end=[2.0])
    with pytest.raises(ValueError, match="the dev set holds no event to predict"):
        fit(tiny(), small[1], first, window="events")


@pytest.mark.parametrize("make", [ExponentialHawkes, MambaHawkesProcess])
def test_a_type_that_never_had_time_to_excite_has_no_influence(small, make):
    """Of seven types three never occur and one comes at the very end only; what a fit begins with must not be its result."""
    _, train, _ = small
    sequences = [(train.times[row, : train.lengths[row]], train.types[row, : train.lengths[row]]) for row in range(60)]
    times = [[*when.tolist(), 25.0] for when, _ in sequences]
    types = [[*what.tolist(), 3] for _, what in sequences]
    batch = EventBatch.from_sequences(times, types, t_end=[25.0] * 60)
    fitted = make(7)
    report = fit(fitted, batch, batch, epochs=2)
    matrix = fitted.branching_matrix()
    assert float(matrix[:, 3:].max()) == 0.0 and float(matrix[:3, :3].max(0).values.min()) > 0.0
    assert report.branching_ratio == pytest.approx(spectral_radius(matrix[:3, :3]), rel=1e-9)


@pytest.mark.parametrize("penalty", [None, "mcp"])
def test_one_event_is_enough_for_the_classical_process(penalty):
    """The maximum is known where the ascent begins, and the report says it all the same."""
    one = EventBatch.from_sequences([[1.0], []], [[1], []], t_end=[2.0, 6.0])
    fitted = ExponentialHawkes(3)
    report = fit(fitted, one, one, penalty=penalty)
    assert fitted.baseline[1].item() == pytest.approx(1 / 8, rel=1e-3)
    assert report.best.train == pytest.approx(evaluate(fitted, one), abs=1e-9)
    assert report.best.train == pytest.approx(math.log(1 / 8) - 1, abs=1e-3)


def test_the_link_of_the_paper_stays_as_it_is(small):
    """softness=None: softplus with beta = 1 on the scaled clock, before and after the fit."""
    _, train, dev = small
    process = MambaHawkesProcess(3, hidden=8, state=4, softness=None)
    fit(process, train[:60], dev[:20], epochs=2)
    assert process.log_softness.tolist() == [0.0, 0.0, 0.0]
    batch, at = train[:5], torch.rand(5, 4, dtype=torch.float64) * 20
    argument = sum(process.components(batch, at))
    torch.testing.assert_close(
        process.intensity(batch, at), torch.nn.functional.softplus(argument) / process.time_scale.float()
    )
    with pytest.raises(ValueError, match="softness must be positive, or None"):
        MambaHawkesProcess(3, softness=0.0)
