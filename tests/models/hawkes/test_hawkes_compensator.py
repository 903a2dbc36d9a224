"""The two ways to integrate an intensity: quadrature to a tolerance, and the dilogarithm."""

import math

import mpmath
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.hawkes import MambaHawkesProcess
from models.hawkes.compensator import fixed_rule, integrate, integrate_decaying, legendre, softplus_line_integral
from models.hawkes.link import log_soft_link, soft_link, softplus
from models.hawkes.process import Levels


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


def by_panels(base, amplitude, rate, softness, length):
    """The same integral by 20 Gauss nodes on each of 900 panels that grow from the gap's start: float64, one type."""
    points, weights = legendre(20, length)
    edges = torch.cat([length.new_zeros(1), length * torch.logspace(-15, 0, 900, dtype=torch.float64)])
    at = edges[:-1, None] + edges.diff()[:, None] * points
    argument = base + (amplitude * torch.exp(-at[..., None] * rate)).sum(-1)
    return float(((softness * softplus(argument / softness)) @ weights) @ edges.diff())


@settings(max_examples=150, deadline=None)
@given(
    heights=st.lists(st.tuples(st.floats(-2, 4), st.floats(-3, 5)), min_size=1, max_size=3),
    base=st.floats(-2, 1),
    softness=st.floats(-3, 1),
    length=st.floats(-4, 4),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@example([(3.8804, -0.9865), (-1.4035, 4.7711), (-0.986, 0.4682)], 0.3422, 0.2595, 2.1189, torch.float64)
@example([(3.9766, 4.7497), (-1.8562, -1.8961)], 0.7411, -0.9529, -2.5711, torch.float64)
@example([(-2.0, 4.0), (1.0, 4.0), (-2.0, 0.0)], 1.0, -2.0, 1.0, torch.float32)
@example([(0.0, 4.0)], 0.0, -3.0, -1.0, torch.float32)
def test_the_compensator_sees_the_kink_where_a_high_excitation_sinks_below_its_softness(
    heights, base, softness, length, dtype
):
    """Below a negative base the link is all but 0, above it a line: two rules can agree on a wrong value there."""
    process = MambaHawkesProcess(1, hidden=2, state=1, decays=len(heights)).to(dtype).requires_grad_(False).eval()
    amplitude, rate = (10 ** torch.tensor(column, dtype=torch.float64) for column in zip(*heights))
    process.excitation.log_rate.copy_(rate.log().view(1, 1, -1))
    process.log_softness.fill_(math.log(10**softness))
    start, gap = torch.tensor([-(10.0**base)], dtype=torch.float64), torch.tensor([10.0**length], dtype=torch.float64)
    got = process.integral(Levels(start.view(1, 1).to(dtype), amplitude.view(1, 1, -1).to(dtype)), gap)
    want = by_panels(start, amplitude, rate, torch.tensor(10.0**softness, dtype=torch.float64), gap)
    close = 1e-6 if dtype == torch.float64 else 1e-4
    assert float(got) == pytest.approx(want, rel=close, abs=1e-30)


@pytest.mark.parametrize("level", [-100.0, -95.0, -90.0, -600.0])
def test_an_intensity_that_all_but_underflows_has_an_integral(level):
    """exp(-95) is subnormal in float32, where no two rules agree to a relative tolerance; beside it one that does not."""
    process = MambaHawkesProcess(2, hidden=2, state=1).requires_grad_(False).eval()
    process.excitation.log_rate.copy_(torch.tensor([[3.0, 11.0], [0.0, 5.0]])[..., None])
    process.log_softness.copy_(torch.tensor([0.01, 1.0]).log())
    base, height = torch.tensor([[0.01 * level, 1.0]]), torch.tensor([[[0.03, 0.02], [1.0, 1.0]]])
    for gap in torch.logspace(-3, 3, 20, dtype=torch.float64):
        found = process.integral(Levels(base, height), gap[None])
        assert float(found[0, 0]) < 1e-30 and 1.0 < float(found[0, 1]) / float(gap) < 4.0
