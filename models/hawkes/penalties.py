"""Non-concave penalties of the influence matrix (M3TR theorem 3.1 and appendix G, assumption 4)."""

from __future__ import annotations

from torch import Tensor

PENALTIES = ("mcp", "scad")
MCP_SHAPE, SCAD_SHAPE = 3.0, 3.7  # a: from where on a coefficient is not penalised, in units of the strength


def penalty(values: Tensor, strength: float, *, kind: str) -> Tensor:
    """p(|v|) elementwise: strength |v| near 0, constant beyond a strength (MCP: Zhang 2010; SCAD: Fan and Li 2001)."""
    size = values.abs()
    if kind == "mcp":
        inside = strength * size - size**2 / (2 * MCP_SHAPE)
        return inside.where(size <= MCP_SHAPE * strength, values.new_tensor(MCP_SHAPE * strength**2 / 2))
    if kind == "scad":
        a = SCAD_SHAPE
        middle = (2 * a * strength * size - size**2 - strength**2) / (2 * (a - 1))
        outer = values.new_tensor(strength**2 * (a + 1) / 2)
        return (strength * size).where(size <= strength, middle.where(size <= a * strength, outer))
    raise ValueError(f"penalty {kind!r}; allowed: None, {', '.join(PENALTIES)}")


def penalty_slope(values: Tensor, strength: float, *, kind: str) -> Tensor:
    """p'(|v|) elementwise: `strength` at 0+, 0 for large |v|."""
    size = values.abs()
    if kind == "mcp":
        return (strength - size / MCP_SHAPE).clamp_min(0)
    if kind == "scad":
        falling = (SCAD_SHAPE * strength - size).clamp_min(0) / (SCAD_SHAPE - 1)
        return falling.clamp_max(strength)
    raise ValueError(f"penalty {kind!r}; allowed: None, {', '.join(PENALTIES)}")
