"""MCP and SCAD: their shape, and that they are each other's slope and integral."""

import pytest
import torch

from models.hawkes import penalty, penalty_slope, shrink
from tests.models.hawkes.conftest import make_batch, make_process


@pytest.mark.parametrize("kind", ["mcp", "scad"])
def test_slope_is_the_derivative(kind):
    values = torch.linspace(0.01, 3, 200, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(penalty(values, 0.4, kind=kind).sum(), values)
    torch.testing.assert_close(slope, penalty_slope(values.detach(), 0.4, kind=kind))


@pytest.mark.parametrize("kind", ["mcp", "scad"])
def test_assumption_4_holds(kind):
    """M3TR appendix G: slope gamma at 0+, falling, 0 from some a gamma on; so large influences are not shrunk."""
    values = torch.linspace(0, 3, 400, dtype=torch.float64)
    slope = penalty_slope(values, 0.4, kind=kind)
    assert float(slope[0]) == pytest.approx(0.4)
    assert bool((slope.diff() <= 1e-12).all()) and bool((slope[values > 3.7 * 0.4] == 0).all())
    height = penalty(values, 0.4, kind=kind)
    assert float(height[0]) == 0.0 and bool((height.diff() >= -1e-12).all())
    torch.testing.assert_close(height[-1], height[values > 3.7 * 0.4][0])
    torch.testing.assert_close(penalty(-values, 0.4, kind=kind), height)


def test_an_unknown_penalty_is_refused():
    for function in (penalty, penalty_slope):
        with pytest.raises(ValueError, match="allowed: None, mcp, scad"):
            function(torch.ones(1), 0.1, kind="lasso")


@pytest.mark.parametrize("max_branching", [0.5, None])
def test_projecting_keeps_zeros_signs_and_the_bound(max_branching):
    """What a training loop calls after each step."""
    process = make_process("m3tr")
    process.excitation.branching[0, 1] = 0.0
    support = process.branching_matrix() > 0
    process.excitation.branching.add_(torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(0)))
    moved = process.excitation.branching.clone()
    assert process.project_(max_branching=max_branching, support=support) is process
    matrix = process.branching_matrix()
    assert float(process.excitation.branching.min()) == 0.0 and float(matrix[0, 1]) == 0.0
    if max_branching is None:
        assert torch.equal(process.excitation.branching, moved.clamp(min=0) * support[..., None])
    else:
        assert process.branching_ratio() == pytest.approx(max_branching)
    make_process("mufm").project_(support=support)


def test_the_proximal_step_keeps_what_it_takes_to_zero_there():
    process = make_process("m3tr").requires_grad_(True)
    optimiser = torch.optim.AdamW(process.parameters(), lr=1e-2, weight_decay=0.0)
    batch = make_batch(seed=3)
    for strength in (1e3, 1e3, 0.0):
        optimiser.zero_grad()
        (-process.log_likelihood(batch).sum()).backward()
        optimiser.step()
        shrink(process, optimiser, "mcp", strength)
        process.project_()
        assert (float(process.branching_matrix().max()) == 0.0) == (strength > 0)
