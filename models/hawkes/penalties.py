"""Non-concave penalties of the influence matrix (M3TR theorem 3.1 and appendix G, assumption 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from models.hawkes.process import PointProcess

PENALTIES = ("mcp", "scad")
MCP_SHAPE, SCAD_SHAPE = 3.0, 3.7  # a: the penalty is constant above a times the strength


def penalty(values: Tensor, strength: float, *, kind: str) -> Tensor:
    """Return the penalty p(|v|) elementwise (MCP: Zhang 2010; SCAD: Fan and Li 2001).

    It is close to strength |v| near 0, and constant for large |v|.

    Args:
        values: v, in any shape.
        strength: gamma, at least 0.
        kind: "mcp" or "scad".

    Returns:
        The penalty, in the shape of `values`.

    Raises:
        ValueError: For another kind.

    Example:
        >>> import torch
        >>> from models.hawkes import penalty
        >>> penalty(torch.tensor([0.0, 1.0, 10.0]), 1.0, kind="mcp").tolist()[::2]
        [0.0, 1.5]
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
    """Return the derivative p'(|v|) of the penalty elementwise.

    It is `strength` just above 0, and 0 for large |v|.

    Args:
        values: v, in any shape.
        strength: gamma, at least 0.
        kind: "mcp" or "scad".

    Returns:
        The derivative, in the shape of `values`.

    Raises:
        ValueError: For another kind.
    """
    size = values.abs()
    if kind == "mcp":
        return (strength - size / MCP_SHAPE).clamp_min(0)
    if kind == "scad":
        falling = (SCAD_SHAPE * strength - size).clamp_min(0) / (SCAD_SHAPE - 1)
        return falling.clamp_max(strength)
    raise ValueError(f"penalty {kind!r}; allowed: None, {', '.join(PENALTIES)}")


@torch.no_grad()
def shrink(process: PointProcess, optimiser: torch.optim.Adam, kind: str, strength: float) -> None:
    """Apply the penalty to the branching matrix, in place, by a proximal step in Adam's metric.

    Call it after each optimiser step and before `process.project_()`. Influences that the step takes below 0 become exactly
    0, which a gradient step would not achieve.

    Args:
        process: A process with a classical part.
        optimiser: The Adam or AdamW optimiser that has just made a step.
        kind: "mcp" or "scad".
        strength: The penalty's gamma, in units of the loss that the optimiser minimises.

    Raises:
        ValueError: For another kind.
    """
    matrix = process.excitation.branching
    group = next(group for group in optimiser.param_groups if any(p is matrix for p in group["params"]))
    state = optimiser.state[matrix]
    if not state:  # the matrix has had no gradient yet
        return
    seen = state["exp_avg_sq"] / (1 - group["betas"][1] ** float(state["step"]))
    slope = penalty_slope(matrix.sum(-1, keepdim=True), strength, kind=kind)
    matrix.sub_(group["lr"] * slope / (seen.sqrt() + group["eps"])).clamp_(min=0)
