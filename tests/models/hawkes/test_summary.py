"""Standard errors are those of the likelihood, and their intervals cover."""

import math

import numpy as np
import pytest
import torch

from models.events import EventBatch
from models.hawkes import ExponentialHawkes, MambaHawkesProcess, PoissonProcess, fit, summary
from models.thinning import simulate


def planted(*, offspring=((0.4, 0.2), (0.15, 0.3))) -> ExponentialHawkes:
    process = ExponentialHawkes(2)
    with torch.no_grad():
        process.baseline.copy_(torch.tensor([0.5, 0.3]))
        process.excitation.branching.copy_(torch.tensor(offspring)[..., None])
        process.excitation.log_rate.copy_(torch.tensor([[2.0, 1.0], [0.7, 1.5]]).log()[..., None])
    return process


def simulated(process: ExponentialHawkes, seeds: range) -> EventBatch:
    nothing = EventBatch.from_sequences([[]] * len(seeds), [[]] * len(seeds), t_end=[0.0] * len(seeds))
    return simulate(process, nothing, until=30.0, seeds=seeds)


def test_errors_are_those_of_the_hessian():
    """Against the inverse of a Hessian by finite differences of the gradient that autograd computes."""
    process, data = planted(), simulated(planted(), range(40))
    fit(process, data)
    parameters = [process.baseline, process.excitation.branching, process.excitation.log_rate]
    flat = torch.nn.utils.parameters_to_vector(parameters).detach()

    def gradient(at: torch.Tensor) -> np.ndarray:
        torch.nn.utils.vector_to_parameters(at, parameters)
        process.zero_grad()
        process.log_likelihood(data).sum().backward()
        return torch.cat([parameter.grad.flatten() for parameter in parameters]).numpy()

    steps = 1e-5 * torch.eye(len(flat), dtype=torch.float64)
    hessian = np.stack([(gradient(flat + step) - gradient(flat - step)) / 2e-5 for step in steps])
    torch.nn.utils.vector_to_parameters(flat, parameters)
    errors = np.sqrt(np.diagonal(np.linalg.inv(-hessian)))
    errors[6:] *= flat[6:].exp().numpy()  # of the rates, not of their logarithms
    told = summary(process, data).parameters
    np.testing.assert_allclose([one.error for one in told[:10]], errors, rtol=1e-3)
    np.testing.assert_allclose([one.value for one in told[:6]], flat[:6])
    assert told[10].name == "branching ratio" and told[10].value == pytest.approx(process.branching_ratio())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_intervals_of_95_percent_cover():
    process = planted()
    truth = [*process.baseline.tolist(), *process.excitation.branching.flatten().tolist()]
    truth += [*process.excitation.rate.flatten().tolist(), process.branching_ratio()]
    covered = []
    for first in range(0, 60 * 100, 60):
        data, fitted = simulated(process, range(first, first + 60)), ExponentialHawkes(2)
        fit(fitted, data)
        covered.append([one.low <= value <= one.high for one, value in zip(summary(fitted, data).parameters, truth)])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)
    assert (np.mean(covered, 0) > 0.85).all()


def test_an_influence_that_is_absent_is_at_its_bound_and_has_no_error():
    process = planted(offspring=((0.4, 0.0), (0.15, 0.3)))
    data = simulated(process, range(60))
    with torch.no_grad():
        process.excitation.branching[0, 1] = 0.0
    told = summary(process, data, names=["like", "share"])
    absent = {one.name: one for one in told.parameters}["offspring like per share"]
    assert absent.value == 0 and math.isnan(absent.error)
    assert "1 parameters at a bound" in told.notes[0] and told.notes[0] in str(told)
    record = told.records()[0]
    assert (
        list(record) == ["name", "value", "error", "low", "high"] and record["low"] < record["value"] < record["high"]
    )


def test_rates_that_are_common_to_all_types_have_one_error_per_kernel():
    data, process = simulated(planted(), range(40)), ExponentialHawkes(2, decays=2, shared=True)
    fit(process, data)
    names = [one.name for one in summary(process, data).parameters]
    assert names[-3:] == ["decay rate, kernel 1", "decay rate, kernel 2", "branching ratio"]
    assert len(names) == 2 + 8 + 2 + 1


def test_a_poisson_process_shows_its_prior():
    data, process = simulated(planted(), range(20)), PoissonProcess(2)
    fit(process, data)
    assert [one.name for one in summary(process, data, names=["like", "share"]).parameters] == [
        "prior shape of like", "prior shape of share", "prior exposure of like", "prior exposure of share",
    ]  # fmt: skip


def test_what_has_no_summary_is_refused():
    data = simulated(planted(), range(3))
    with pytest.raises(TypeError, match="given MambaHawkesProcess"):
        summary(MambaHawkesProcess(2), data)
    with pytest.raises(ValueError, match="given 1 names for 2 types"):
        summary(planted(), data, names=["like"])
    with pytest.raises(ValueError, match=r"level must be between 0 and 1; given 95"):
        summary(planted(), data, level=95)
