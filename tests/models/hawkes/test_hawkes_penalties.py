"""MCP and SCAD: their shape, and that they are each other's slope and integral."""

import pytest
import torch

from models.hawkes.penalties import penalty, penalty_slope


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
