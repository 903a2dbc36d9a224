"""The two ways to integrate an intensity: quadrature to a tolerance, and the dilogarithm."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.hawkes.compensator import integrate, softplus_line_integral


def exact(start, slope, length):
    """Integral of log(1 + e^(start + slope t)) by mpmath's dilogarithm, 30 digits."""
    with mpmath.workdps(30):
        if slope == 0:
            return float(mpmath.log1p(mpmath.exp(start)) * length)
        low, high = (
            -mpmath.polylog(2, -mpmath.exp(mpmath.mpf(v)))
            for v in (start, mpmath.mpf(start) + mpmath.mpf(slope) * length)
        )
        return float(((high - low) / slope).real)


@settings(max_examples=60, deadline=None)
@given(start=st.floats(-20, 20), slope=st.floats(-5, 5), length=st.floats(1e-6, 8))
def test_the_line_s_softplus_integrates_to_the_dilogarithm(start, slope, length):
    slope = 0.0 if abs(slope) < 1e-12 else slope
    arguments = [torch.tensor(value, dtype=torch.float64) for value in (start, slope, length)]
    assert float(softplus_line_integral(*arguments)) == pytest.approx(
        exact(start, slope, length), rel=1e-11, abs=1e-300
    )


def test_the_line_integral_has_the_right_gradients():
    start = torch.tensor([-3.0, 0.5, 2.0, 1.0], dtype=torch.float64, requires_grad=True)
    slope = torch.tensor([0.4, -1.5, 1e-9, 0.2], dtype=torch.float64, requires_grad=True)
    length = torch.tensor([2.0, 3.0, 1.0, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(softplus_line_integral, (start, slope, length))


@settings(max_examples=30, deadline=None)
@given(
    rate=st.floats(1e-3, 1e6),
    length=st.floats(1e-6, 1e4),
    height=st.floats(0, 1e5),
    tolerance=st.sampled_from([1e-4, 1e-9]),
)
def test_quadrature_keeps_its_tolerance_over_any_decay(rate, length, height, tolerance):
    """1 + height rate exp(-rate t), from flat to a spike at the gap's start."""

    def function(rows, elapsed):
        return (1 + height * rate * torch.exp(-rate * elapsed))[..., None]

    gap = torch.tensor([length], dtype=torch.float64)
    got = integrate(function, gap, torch.tensor(rate), nodes=8, tolerance=tolerance)
    want = length + height * -float(torch.expm1(-rate * gap))
    assert float(got) == pytest.approx(want, rel=tolerance)


def test_what_cannot_reach_the_tolerance_is_an_error():
    def noise(rows, elapsed):
        return torch.rand(*elapsed.shape, 1, dtype=torch.float64)

    with pytest.raises(ArithmeticError, match="tolerance 1e-09"):
        integrate(noise, torch.ones(1, dtype=torch.float64), torch.tensor(1.0), nodes=4, tolerance=1e-9)
