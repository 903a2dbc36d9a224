"""Fits against what they must reach: every event weighs alike, nothing below the classical process, no clock's origin."""

import math
import warnings

import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, fit, pieces
from models.hawkes.fit import evaluate
from models.thinning import simulate
from tests.models.hawkes.test_hawkes_fit import empty, truth


@pytest.fixture(scope="module")
def unequal():
    """100 Poisson sequences whose rates are spread as those of popular and unpopular videos."""
    g = torch.Generator().manual_seed(0)
    times = []
    for rate in (torch.randn(100, generator=g).double() * 1.2).exp().tolist():
        count = int(torch.poisson(torch.tensor(24 * rate), generator=g))
        times.append((24 * torch.rand(count, generator=g, dtype=torch.float64)).sort().values.tolist())
    data = EventBatch.from_sequences(times, [[0] * len(when) for when in times], t_end=[24.0] * 100)
    return data[:75], data[75:]


@pytest.mark.parametrize("form", ["m3tr", "mufm"])
def test_sequences_of_unequal_rates_bias_no_fit(unequal, form):
    """Expected events per event on the training set, which was .70 and .81, and dev's likelihood."""
    train, dev = unequal
    torch.manual_seed(0)
    process = MambaHawkesProcess(1, intensity=form, hidden=16, state=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = fit(process, train, dev, epochs=6, learning_rate=1e-2)
    with torch.no_grad():
        ratio = float(process.compensator(train).sum()) / train.num_events
    assert ratio == pytest.approx(1.0, abs=0.01) and report.events_ratio == pytest.approx(ratio, abs=1e-6)
    constant = math.log(train.num_events / float(train.t_end.sum()))
    poisson = constant - math.exp(constant) * float(dev.t_end.sum()) / dev.num_events
    assert report.best.dev > poisson + 0.05


def test_a_level_that_is_wrong_is_told(unequal):
    """The paper's link cannot reach this level in two passes."""
    train, dev = unequal
    with pytest.warns(UserWarning, match=r"expects \d\.\d+ events for each event of its training set; 1 is right"):
        report = fit(MambaHawkesProcess(1, softness=None, hidden=8, state=4), train, dev, epochs=1, learning_rate=1e-4)
    assert abs(report.events_ratio - 1) > 0.01


@pytest.mark.parametrize("window", ["observation", "events"])
def test_the_fitted_process_does_not_hang_on_the_clock_s_origin(unequal, window):
    """Unix time in seconds is a shift by 1.7e9; with the observation window t_start says where it begins."""
    train, dev = (part[:20] for part in unequal)
    shift = 2.0**24
    start = {"observation": torch.full((20,), shift, dtype=torch.float64), "events": None}[window]

    def moved(part):
        return EventBatch(part.times + shift, part.types, part.lengths, part.t_end + shift, start)

    found = []
    for change in (lambda part: part, moved):
        torch.manual_seed(0)
        process = MambaHawkesProcess(1, hidden=8, state=4, clock_periods=2, count_scales=2)
        report = fit(process, change(train), change(dev), epochs=2, window=window)
        found.append((report.best.dev, float(process.time_scale), process.network.clock.period))
    assert found[1][0] == pytest.approx(found[0][0], abs=1e-4)
    assert found[1][1] == pytest.approx(found[0][1], rel=1e-9)
    torch.testing.assert_close(found[1][2], found[0][2])


@pytest.mark.parametrize("decays", [1, 3])
def test_m3tr_is_never_below_the_classical_process_that_it_contains(monkeypatch, decays):
    """On one long cascade, the hardest case, in pieces."""
    monkeypatch.setattr(pieces, "LONGEST", 128)
    process = truth(1, density=1.0, rate=3.0)
    data = simulate(process, empty(1), length=1200, seeds=[3])
    classical = ExponentialHawkes(1, decays=decays)
    fit(classical, data, data)
    torch.manual_seed(0)
    neural = MambaHawkesProcess(1, decays=decays, hidden=8, state=4)
    report = fit(neural, data, data, epochs=2)
    assert evaluate(neural, data) > evaluate(classical, data) - 2e-3
    assert report.curve[0].dev == pytest.approx(evaluate(classical, data), abs=2e-3)


def test_several_steps_are_taken_over_one_long_sequence(monkeypatch):
    monkeypatch.setattr("models.hawkes.pieces.LONGEST", 64)
    monkeypatch.setattr("models.hawkes.neural_fit.STEP_EVENTS", 128)
    data = simulate(truth(1, density=1.0, rate=3.0), empty(1), length=600, seeds=[3])
    steps = []
    monkeypatch.setattr(MambaHawkesProcess, "project_", lambda self, **_: steps.append(1) or self)
    fit(MambaHawkesProcess(1, hidden=8, state=4), data, data, epochs=1)
    assert len(steps) >= 5
