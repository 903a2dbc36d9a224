"""The selective scan against a float64 step-by-step reference, for every rule and backend."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scan import DISCRETIZATIONS, linear_recurrence, scan_step, scan_with_state, selective_scan

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
NAMES = ("x", "delta", "A", "B", "C")


def reference(x, delta, A, B, C, rule):
    """One event after the other, in float64 and by autograd."""
    gap = delta[:, :, None, None]
    exponent = gap * A
    if rule == "zoh":
        series = torch.zeros_like(exponent)
        for k in range(16, 0, -1):  # expm1(v) / v = 1 + v/2 (1 + v/3 (1 + ...)), which autograd differentiates exactly
            series = (1 + series) * exponent.clamp_min(-0.5) / (k + 1)
        far = exponent < -0.5
        weight = torch.where(far, torch.expm1(exponent) / torch.where(far, A, -1.0), gap * (1 + series))
    else:
        weight = gap if rule == "euler" else torch.ones_like(gap)
    added = weight * x[..., None] * B[:, :, None, :]
    z, states = torch.zeros_like(added[:, 0]), []
    for kept, new in zip(torch.exp(exponent).unbind(1), added.unbind(1)):
        z = kept * z + new
        states.append(z)
    return (torch.stack(states, dim=1) * C[:, :, None, :]).sum(-1)


def inputs(length, *, b=2, d=3, n=4, seed=0, dtype=torch.float64, shared=False):
    """Gaps of 0, ordinary ones and of 1e9; decays from 1e-12 to 10, and one next to 0: subnormal in float32."""
    g = torch.Generator().manual_seed(seed)
    delta = -torch.log1p(-torch.rand(b, length, generator=g, dtype=torch.float64))
    odd = torch.rand(b, length, generator=g)
    delta = torch.where(odd < 0.2, 0.0, torch.where(odd > 0.97, 1e9, delta))
    A = -(10 ** (-12 + 13 * torch.rand(1 if shared else d, n, generator=g, dtype=torch.float64)))
    A[0, 0] = -1e-40
    x, B, C = (torch.randn(b, length, m, generator=g, dtype=torch.float64) for m in (d, n, n))
    return [part.to(dtype) for part in (x, delta, A, B, C)]


def with_gradients(function, parts, upstream):
    parts = [part.detach().clone().requires_grad_() for part in parts]
    y = function(*parts)
    (y * upstream).sum().backward()
    return y.detach(), [part.grad for part in parts]


def check(parts, rule, backend):
    """Every number of y, and of the gradients by x, B and C, to `tolerance` of the sum of its terms' magnitudes; the

    gradients by the gaps and by A, whose terms have no fixed sign, to `tolerance` of their largest, or of a hundredth of
    the terms' magnitudes: where nothing is ever forgotten, thousands of terms all but cancel.
    """
    dtype = parts[0].dtype
    upstream = torch.randn(parts[0].shape, generator=torch.Generator().manual_seed(9), dtype=dtype)
    y, grads = with_gradients(lambda *p: selective_scan(*p, discretization=rule, backend=backend), parts, upstream)
    exact = [part.double() for part in parts]
    want_y, want = with_gradients(lambda *p: reference(*p, rule), exact, upstream.double())
    sizes = [exact[0].abs(), exact[1], exact[2], exact[3].abs(), exact[4].abs()]
    size_y, size = with_gradients(lambda *p: reference(*p, rule), sizes, upstream.double().abs())
    size[1], size[2] = want[1].abs().max(), torch.maximum(want[2].abs().max(), 0.01 * size[2].abs())
    for name, got, exactly, scale in zip(("y", *NAMES), (y, *grads), (want_y, *want), (size_y, *size)):
        assert torch.isfinite(got).all(), name
        error = ((got.double() - exactly).abs() / (scale + 1e-30)).max()
        assert error <= TOLERANCE[dtype], f"{name}: {float(error):.2e}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["sequential", "parallel"])
@pytest.mark.parametrize("rule", DISCRETIZATIONS)
@settings(max_examples=10, deadline=None)
@given(length=st.integers(1, 50), shared=st.booleans(), seed=st.integers(0, 10**6))
def test_equals_the_reference(rule, backend, dtype, length, shared, seed):
    check(inputs(length, seed=seed, dtype=dtype, shared=shared), rule, backend)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("backend", ["sequential", "parallel"])
@pytest.mark.parametrize("rule", DISCRETIZATIONS)
def test_equals_the_reference_over_8192_events(rule, backend, shared):
    check(inputs(8192, b=1, d=2, n=2, dtype=torch.float32, shared=shared), rule, backend)


@pytest.mark.slow
@pytest.mark.parametrize("length", [1023, 4096, 8192])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("backend", ["sequential", "parallel"])
@pytest.mark.parametrize("rule", DISCRETIZATIONS)
def test_equals_the_reference_over_long_sequences_in_float64(rule, backend, shared, length):
    check(inputs(length, b=2, d=3, n=3, dtype=torch.float64, shared=shared), rule, backend)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["sequential", "parallel", "fused"])
def test_on_a_gpu_it_equals_the_reference(backend):
    """The fused kernel is taken where mamba-ssm is installed."""
    if backend == "fused":
        pytest.importorskip("mamba_ssm")
    parts = inputs(500, dtype=torch.float32)
    parts[1] = parts[1].clamp_max(50.0)
    y = selective_scan(*(part.cuda() for part in parts), discretization="euler", backend=backend)
    want = reference(*(part.double() for part in parts), "euler")
    torch.testing.assert_close(y.cpu().double(), want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e-8])
def test_decays_next_to_zero_hold_every_input(size):
    x, _, _, _, _ = inputs(20, dtype=torch.float32)
    delta, ones = torch.full((2, 20), 1e-3), torch.ones(2, 20, 1)
    y = selective_scan(x, delta, torch.full((3, 1), -size), ones, ones)
    torch.testing.assert_close(y, 1e-3 * x.cumsum(1), rtol=1e-5, atol=1e-9)


def test_a_gap_of_0_leaves_no_trace_but_of_an_impulse():
    x, delta, A, B, C = inputs(5)
    delta = torch.zeros_like(delta)
    assert selective_scan(x, delta, A, B, C, discretization="zoh").abs().max() == 0
    assert selective_scan(x, delta, A, B, C, discretization="impulse").abs().max() > 0


@pytest.mark.parametrize("rule", DISCRETIZATIONS)
def test_stepping_is_scanning(rule):
    x, delta, A, B, C = inputs(17)
    y, last = scan_with_state(x, delta, A, B, C, discretization=rule)
    z = torch.zeros_like(last)
    for i in range(17):
        row, z = scan_step(z, x[:, i], delta[:, i], A, B[:, i], C[:, i], discretization=rule)
        torch.testing.assert_close(row, y[:, i], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(z, last, rtol=1e-11, atol=1e-11)


def test_gradients_flow_through_the_last_state():
    x, delta, A, B, C = (part.requires_grad_() for part in inputs(9, seed=3))
    delta = delta.detach().clamp(1e-5, 5).requires_grad_()  # finite differences must not go below 0
    function = lambda *p: scan_with_state(*p, discretization="zoh")[1]  # noqa: E731
    assert torch.autograd.gradcheck(function, (x, delta, A.detach() - 0.1, B, C))


@pytest.mark.parametrize("backend", ["auto", "sequential", "parallel"])
def test_an_empty_sequence_or_batch_has_no_output(backend):
    for length, rows in ((0, 2), (100, 0)):
        x, delta, A, B, C = inputs(length, b=rows)
        assert selective_scan(x, delta, A, B, C, backend=backend).shape == (rows, length, 3)


@pytest.mark.parametrize("backend", ["sequential", "parallel"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("rule", DISCRETIZATIONS)
def test_gaps_in_float64_go_with_a_network_in_float32(rule, shared, backend):
    parts = inputs(40, dtype=torch.float32, shared=shared)
    exact = [parts[0], parts[1].double(), *parts[2:]]
    function = lambda *p: selective_scan(*p, discretization=rule, backend=backend)  # noqa: E731
    (want, gradients), (got, found) = (with_gradients(function, given, 1.0) for given in (parts, exact))
    assert torch.equal(got, want) and found[1].dtype == torch.float64
    for one, other in zip(found, gradients):
        torch.testing.assert_close(one.to(other), other, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discretization": "bilinear"}, "zoh, euler, impulse"),
        ({"backend": "triton"}, "auto, sequential, parallel, fused"),
        ({"backend": "fused"}, "euler"),
        ({"backend": "fused", "discretization": "euler"}, "no float64"),
        ({"backend": "fused", "discretization": "euler", "x": torch.ones(2, 5, 3)}, "CUDA"),
        ({"delta": torch.full((2, 5), -1e-3, dtype=torch.float64)}, "must be >= 0; given -0.001"),
        ({"delta": torch.full((2, 5), float("nan"), dtype=torch.float64)}, "must be >= 0; given nan"),
        ({"A": torch.full((3, 4), 0.5, dtype=torch.float64)}, "must be <= 0"),
        ({"B": torch.ones(2, 6, 4, dtype=torch.float64)}, "B and C"),
    ],
)
def test_refuses_what_it_cannot_run(change, message):
    arguments = dict(zip(NAMES, inputs(5))) | change
    with pytest.raises(ValueError, match=message):
        selective_scan(**arguments)


@given(length=st.integers(0, 40), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_linear_recurrence_is_the_plain_loop(length, seed):
    g = torch.Generator().manual_seed(seed)
    decay = torch.rand(length, 2, 1, generator=g, dtype=torch.float64).requires_grad_()
    added = torch.randn(length, 2, 3, generator=g, dtype=torch.float64).requires_grad_()
    upstream = torch.randn(length, 2, 3, generator=g, dtype=torch.float64)
    state, rows = torch.zeros(2, 3, dtype=torch.float64), []
    for i in range(length):
        state = decay[i] * state + added[i]
        rows.append(state)
    got = linear_recurrence(decay, added)
    if length == 0:
        assert got.shape == (0, 2, 3)
        return
    want = torch.stack(rows)
    torch.testing.assert_close(got, want, rtol=1e-13, atol=1e-13)
    expected = torch.autograd.grad((want * upstream).sum(), (decay, added))
    for a, b in zip(torch.autograd.grad((got * upstream).sum(), (decay, added)), expected):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
