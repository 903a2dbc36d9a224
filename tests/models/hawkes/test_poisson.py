"""The Poisson process with a rate per sequence: its likelihood in closed form, and the prior that a fit finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln

from models.events import EventBatch
from models.hawkes import PoissonProcess, fit
from tests.models.hawkes.conftest import make_batch, make_process


def closed_form(process: PoissonProcess, batch: EventBatch) -> np.ndarray:
    """The Gamma mixture of Poisson likelihoods, sum_k log(Gamma(n + a) / Gamma(a) c^a / (c + T)^(n + a))."""
    a, c = (part.detach().double().exp().numpy() for part in (process.log_shape, process.log_exposure))
    total = []
    for row in range(len(batch)):
        n = np.bincount(batch.types[row, : batch.lengths[row]], minlength=len(a))
        time = float(batch.t_end[row] - batch.t_start[row])
        total.append(np.sum(gammaln(n + a) - gammaln(a) + a * np.log(c) - (n + a) * np.log(c + time)))
    return np.array(total)


def test_the_likelihood_is_the_gamma_mixture_of_poisson_likelihoods():
    process, batch = make_process("poisson"), make_batch(seed=5, ties=False)
    found = process.log_likelihood(batch).numpy()
    np.testing.assert_allclose(found, closed_form(process, batch), rtol=1e-10)
    process.log_shape.data[0] += 0.01
    assert np.abs(closed_form(process, batch) - found).max() > 1e-4


def test_the_intensity_is_the_posterior_mean_of_the_rate():
    process = make_process("poisson", num_types=2)
    batch = EventBatch.from_sequences([[1.0, 2.0, 2.5]], [[0, 1, 0]], t_end=[4.0])
    a, c = process.log_shape.exp(), process.log_exposure.exp()
    found = process.intensity(batch, torch.tensor([[2.2, 4.0]], dtype=torch.float64))[0]
    counts = torch.tensor([[1, 1], [2, 1]])
    torch.testing.assert_close(
        found, (counts + a) / (torch.tensor([[2.2], [4.0]], dtype=torch.float64) + c), rtol=1e-12, atol=0
    )


def test_a_row_holds_the_type_the_time_and_the_log_rates():
    process = make_process("poisson", num_types=2)
    batch = EventBatch.from_sequences([[1.0, 3.0]], [[0, 1]], t_end=[4.0])
    rows = process.rows_after(batch, torch.tensor([[0, 0]]), torch.tensor([[1, 2]]))[0]
    assert rows.shape == (2, process.row_width)
    assert rows[:, :2].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert rows[:, 2].expm1().tolist() == pytest.approx([1.0, 3.0])
    just_after = torch.nextafter(batch.times, torch.tensor(math.inf, dtype=torch.float64))
    torch.testing.assert_close(rows[:, 3:].exp(), process.intensity(batch, just_after)[0], rtol=1e-9, atol=0)


@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_the_fit_finds_the_prior_in_any_unit_of_time(unit):
    """2,000 sequences whose rates have shape 2 and exposure 4; a second type comes at one rate for all."""
    rng = np.random.default_rng(0)
    times, types = [], []
    for rate in rng.gamma(2.0, 1 / 4.0, 2000):
        counts = rng.poisson([10 * rate, 10 * 0.3])
        at = rng.uniform(0, 10, counts.sum())
        order = np.argsort(at)
        times.append(at[order] * unit)
        types.append(np.repeat([0, 1], counts)[order])
    batch = EventBatch.from_sequences(times, types, t_end=[10.0 * unit] * 2000)
    process = PoissonProcess(2)
    seen = []
    report = fit(process, batch[:1800], batch[1800:], progress=seen.append)
    shape, exposure = process.log_shape.exp().tolist(), (process.log_exposure.exp() / unit).tolist()
    assert shape[0] == pytest.approx(2.0, rel=0.2) and exposure[0] == pytest.approx(4.0, rel=0.2)
    assert shape[1] > 50 and shape[1] / exposure[1] == pytest.approx(0.3, rel=0.05)
    assert seen == report.curve and report.events_ratio == pytest.approx(1.0, abs=0.01)
    assert process.log_shape.dtype == torch.float32 and not process.training
    expected = closed_form(process, batch[:1800]).sum() / batch[:1800].num_events
    assert report.best.train == pytest.approx(expected, rel=1e-4)


def test_a_penalty_is_refused():
    batch = EventBatch.from_sequences([[1.0]], [[0]], t_end=[2.0])
    with pytest.raises(ValueError, match="a Poisson process has no influence matrix"):
        fit(PoissonProcess(1), batch, batch, penalty="mcp", strength=0.1)
