"""The two ways to integrate an intensity: quadrature to a tolerance, and the dilogarithm."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.hawkes.compensator import fixed_rule, integrate, integrate_decaying, softplus_line_integral
from models.hawkes.link import log_soft_link, soft_link, softplus


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


@settings(max_examples=200, deadline=None)
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
    got = integrate(function, gap, torch.tensor(rate), tolerance=tolerance)
    want = length + height * -float(torch.expm1(-rate * gap))
    assert float(got) == pytest.approx(want, rel=tolerance)


def test_what_cannot_reach_the_tolerance_is_an_error():
    def noise(rows, elapsed):
        return torch.rand(*elapsed.shape, 1, dtype=torch.float64)

    with pytest.raises(ArithmeticError, match="tolerance 1e-09"):
        integrate(noise, torch.ones(1, dtype=torch.float64), torch.tensor(1.0), tolerance=1e-9)


def decaying(seed=0, gaps=5, types=3, decays=2):
    """base, amplitude, rate, softness, length of some gaps, float64."""
    g = torch.Generator().manual_seed(seed)
    base = torch.randn(gaps, types, generator=g, dtype=torch.float64)
    amplitude = torch.rand(gaps, types, decays, generator=g, dtype=torch.float64)
    rate = torch.logspace(-1, 1, decays, dtype=torch.float64)
    softness = 0.5 + torch.rand(types, generator=g, dtype=torch.float64)
    return base, amplitude, rate, softness, 0.1 + 2 * torch.rand(gaps, generator=g, dtype=torch.float64)


def test_the_training_rule_is_the_fixed_rule_of_the_integral():
    base, amplitude, rate, softness, length = decaying()

    def intensity(rows, elapsed):
        return soft_link(base[rows, None] + torch.exp(-elapsed[..., None] * rate) @ amplitude[rows].mT, softness)

    for nodes in (4, 8):
        want = fixed_rule(intensity, length, rate.max(), nodes=nodes)
        got = integrate_decaying(base, amplitude, rate, softness, length, nodes=nodes)
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)
    exactly = integrate(intensity, length, rate.max(), tolerance=1e-11)
    torch.testing.assert_close(got, exactly, rtol=1e-6, atol=0)


def test_the_training_rule_has_the_right_gradients():
    base, amplitude, rate, softness, length = decaying()
    parts = [part.requires_grad_() for part in (base, amplitude, softness)]
    # The rule's nodes follow the fastest rate, and their motion is no part of the gradient: so many nodes that it is 0.
    rate.requires_grad_()

    def function(base, amplitude, rate, softness):
        return integrate_decaying(base, amplitude, rate, softness, length, nodes=40)

    assert torch.autograd.gradcheck(function, (parts[0], parts[1], rate, parts[2]))


@settings(max_examples=100, deadline=None)
@given(x=st.floats(-700, 700))
def test_softplus_keeps_all_digits(x):
    """PyTorch's own is x from 20 on, which is 1e-10 too small and a step down."""
    with mpmath.workdps(30):
        want = float(mpmath.log1p(mpmath.exp(x)))
    assert float(softplus(torch.tensor(x, dtype=torch.float64))) == pytest.approx(want, rel=1e-14, abs=1e-300)


def test_the_soft_link_and_its_logarithm_have_the_right_gradients():
    argument = torch.tensor([[-3.0, 0.5, 30.0], [0.0, -25.0, 2.0]], dtype=torch.float64, requires_grad=True)
    softness = torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_link, (argument, softness))
    assert torch.autograd.gradcheck(log_soft_link, (argument, softness.detach().log().requires_grad_()))
    torch.testing.assert_close(
        log_soft_link(argument, softness.log()), soft_link(argument, softness).log(), rtol=1e-8, atol=0
    )
    far = log_soft_link(torch.tensor([-1e4], dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    assert float(far) == -1e4  # where the link itself is 0
