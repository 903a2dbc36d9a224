"""Non-concave penalties of the influence matrix (M3TR theorem 3.1 and appendix G, assumption 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from models.hawkes.process import PointProcess

PENALTIES = ("mcp", "scad")
MCP_SHAPE, SCAD_SHAPE = 3.0, 3.7  # a: from where on a coefficient is not penalised, in units of the strength


def penalty(values: Tensor, strength: float, *, kind: str) -> Tensor:
    """Return p(|v|) elementwise: strength |v| near 0, constant beyond (MCP: Zhang 2010; SCAD: Fan and Li 2001).

    Args:
        values: any shape.
        strength: gamma.
        kind: "mcp" or "scad".

    Raises:
        ValueError: for another kind.
    """
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
    """Return p'(|v|) elementwise: `strength` at 0+, 0 for large |v|. Arguments as for `penalty`."""
    size = values.abs()
    if kind == "mcp":
        return (strength - size / MCP_SHAPE).clamp_min(0)
    if kind == "scad":
        falling = (SCAD_SHAPE * strength - size).clamp_min(0) / (SCAD_SHAPE - 1)
        return falling.clamp_max(strength)
    raise ValueError(f"penalty {kind!r}; allowed: None, {', '.join(PENALTIES)}")


@torch.no_grad()
def shrink(process: PointProcess, optimiser: torch.optim.Adam, kind: str, strength: float) -> None:
    """Take the proximal step of a penalty's tangent after a step of Adam, in Adam's own metric.

    Influences that it takes below 0 become exactly 0, which a gradient step would not do. Call it before
    `process.project_()`.

    Args:
        process: with a classical part.
        optimiser: Adam or AdamW; it has just taken a step of the process.
        kind: "mcp" or "scad".
        strength: the penalty's gamma, in units of the loss that the optimiser minimises.
    """
    matrix = process.excitation.branching
    group = next(group for group in optimiser.param_groups if any(p is matrix for p in group["params"]))
    state = optimiser.state[matrix]
    if not state:  # the optimiser has moved everything but the matrix
        return
    seen = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
    slope = penalty_slope(matrix.sum(-1, keepdim=True), strength, kind=kind)
    matrix.sub_(group["lr"] * slope / (seen.sqrt() + group["eps"])).clamp_(min=0)
