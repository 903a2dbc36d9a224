"""A damped Newton step under bounds, for a Hessian of independent blocks that share a border of common variables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

ROUNDS = 20  # most rounds of fixing variables at their bounds; each round fixes at least one more


@dataclass
class Quadratic:
    """A local model g d + d H d / 2 of a function to minimise.

    Attributes:
        gradient: g of each block (p,), then of the border (q,).
        blocks: (p, p) each, H within a block.
        borders: (p, q) each, H between a block and the border.
        corner: (q, q), H within the border; q may be 0.
    """

    gradient: list[np.ndarray]
    blocks: list[np.ndarray]
    borders: list[np.ndarray]
    corner: np.ndarray

    def damped(self, damping: float) -> Quadratic:
        """Return the model with its diagonal raised by the share `damping` of itself (Marquardt 1963).

        A tiny constant is added too, so that entries of 0 become positive.
        """

        def raised(matrix: np.ndarray) -> np.ndarray:
            size = np.diagonal(matrix)
            return matrix + np.diag(damping * size + 1e-12 * max(size.max(initial=0.0), 1e-12))

        return Quadratic(self.gradient, [raised(block) for block in self.blocks], self.borders, raised(self.corner))

    def tilted(self, slope: np.ndarray) -> Quadratic:
        """Return the model of one block plus a linear function of the block's variables after the first.

        Args:
            slope: (p - 1,), added to the gradient.
        """
        level = self.gradient[0].copy()
        level[1:] += slope
        return Quadratic([level, *self.gradient[1:]], self.blocks, self.borders, self.corner)

    def decrease(self, step: list[np.ndarray]) -> float:
        """Return how much lower the model is after `step`, given per block and then for the border."""
        *parts, edge = step
        curve = edge @ self.corner @ edge
        for block, border, part in zip(self.blocks, self.borders, parts, strict=True):
            curve += part @ block @ part + 2 * part @ border @ edge
        return -float(sum(g @ d for g, d in zip(self.gradient, step, strict=True)) + curve / 2)

    def step(self, low: list[np.ndarray], high: list[np.ndarray]) -> list[np.ndarray]:
        """Return the step that minimises the model within low <= d <= high.

        A variable at a bound whose gradient points outwards stays there. A variable that a free step would move beyond its
        bound is fixed at the bound, and the others are solved for again.

        Args:
            low: Lower bounds of the step, per block and then for the border.
            high: Upper bounds of the step, in the same order.

        Returns:
            The step, per block and then for the border.
        """
        free = [
            ~(((lo >= 0) & (g > 0)) | ((hi <= 0) & (g < 0))) for g, lo, hi in zip(self.gradient, low, high, strict=True)
        ]
        held = [np.zeros_like(g) for g in self.gradient]
        for _ in range(ROUNDS):
            step = self._solve(free, held)
            out = [mask & ((d < lo) | (d > hi)) for mask, d, lo, hi in zip(free, step, low, high, strict=True)]
            if not any(part.any() for part in out):
                return step
            for mask, at, d, part, lo, hi in zip(free, held, step, out, low, high, strict=True):
                at[part] = np.clip(d, lo, hi)[part]
                mask[part] = False
        return [np.clip(d, lo, hi) for d, lo, hi in zip(step, low, high, strict=True)]

    def _solve(self, free: list[np.ndarray], held: list[np.ndarray]) -> list[np.ndarray]:
        """Return the minimum over the free variables, with the others held at `held`."""
        *parts, edge = held
        target = -self.gradient[-1] - self.corner @ edge
        for border, part in zip(self.borders, parts, strict=True):
            target = target - border.T @ part
        corner, target = self.corner[np.ix_(free[-1], free[-1])].copy(), target[free[-1]]
        solved = []
        for block, border, g, part, mask in zip(self.blocks, self.borders, self.gradient, parts, free):
            if not mask.any():
                solved.append(None)
                continue
            right = (-g - block @ part - border @ edge)[mask]
            between = border[np.ix_(mask, free[-1])]
            factor = cho_factor(block[np.ix_(mask, mask)], check_finite=False)
            both = cho_solve(factor, np.column_stack([right, between]), check_finite=False)
            corner -= between.T @ both[:, 1:]
            target -= between.T @ both[:, 0]
            solved.append(both)
        step = [part.copy() for part in held]
        if len(target):
            step[-1][free[-1]] = np.linalg.lstsq(corner, target, rcond=None)[0]
        for d, mask, both in zip(step, free, solved):
            if both is not None:
                d[mask] = both[:, 0] - both[:, 1:] @ step[-1][free[-1]]
        return step
