"""Forecasts taken apart: a base, what each part of the inputs adds to it, and a remainder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Reasons:
    """Reasons of the forecasts of n windows and T targets, in units of the targets' scale.

    forecast = base + sum of the parts + remainder, exactly. What a contribution is depends on the predictor (docs/reasons.md):
    the forecast minus the forecast without the part (leave-one-out), where the remainder is what parts do only together; or
    SHAP values, where the remainder is 0 up to rounding.

    Attributes:
        forecast: (n, T); NaN where the predictor does not apply.
        base: (n, T), what is forecast of a video of which nothing is known.
        parts: Part -> (n, T) contribution; see `models.reasons.parts`.
        neighbours: (n, T, S), the forecast minus the forecast without each neighbour, most similar first; 0 for a masked one.
            They do not sum to the part "neighbours": without one neighbour, the others count for more.
        columns: Column of the table -> (n, T) contribution; they sum to the parts that they belong to.

    Raises:
        ValueError: An array has another shape.
    """

    forecast: np.ndarray
    base: np.ndarray
    parts: Mapping[str, np.ndarray]
    neighbours: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the shapes."""
        named = {"base": self.base, **self.parts, **self.columns, "neighbours": self.neighbours[..., :0].sum(-1)}
        for name, values in named.items():
            if values.shape != self.forecast.shape:
                raise ValueError(f"{name} must be {self.forecast.shape}, given {values.shape}")

    @classmethod
    def of_one_part(cls, forecast: np.ndarray, base: np.ndarray, part: str | None, *, neighbours: int) -> Reasons:
        """Return the reasons of forecasts (n, T) whose difference from the base (T,) a single part explains.

        Args:
            forecast: The forecasts.
            base: Mean label of the training videos.
            part: The part, such as the count of an extrapolation; None if the forecasts are the base.
            neighbours: S, the number of neighbours per window; none is read.
        """
        own = np.broadcast_to(base, forecast.shape)
        parts = {} if part is None else {part: forecast - own}
        return cls(forecast, own, parts, np.zeros((*forecast.shape, neighbours)))

    def at(self, row: int, target: int) -> Reasons:
        """Return the reasons of one forecast, whose arrays have no axes of windows and targets."""
        place = (row, target)
        parts, columns = (
            {name: values[place] for name, values in named.items()} for named in (self.parts, self.columns)
        )
        return Reasons(self.forecast[place], self.base[place], parts, self.neighbours[place], columns)

    @property
    def remainder(self) -> np.ndarray:
        """(n, T), the part of the forecast that no part explains alone."""
        return self.forecast - self.base - sum(self.parts.values())

    @property
    def total(self) -> np.ndarray:
        """(n, T), the sum of the sizes of the parts and the remainder; a share is a size over this."""
        return sum(np.abs(values) for values in (*self.parts.values(), self.remainder))

    def share(self, contribution: np.ndarray) -> np.ndarray:
        """Return the shares (n, T) of some contributions (n, T); 0 where nothing moves the forecast.

        Shares of all parts and of the remainder sum to 1. Those of single neighbours and columns are on the same scale.
        """
        total = self.total
        return np.abs(contribution) / np.where(total > 0, total, 1.0)

    def with_part(self, name: str, contribution: np.ndarray) -> Reasons:
        """Return the reasons with a further part (n, T), which the forecast is raised by."""
        parts = {**self.parts, name: contribution}
        return Reasons(self.forecast + contribution, self.base, parts, self.neighbours, self.columns)


def combine(reasons: Sequence[Reasons], weights: np.ndarray) -> Reasons:
    """Return the reasons of a weighted sum of forecasts: the weighted sums of their reasons.

    Args:
        reasons: Reasons of m predictors for the same windows and targets, with S neighbours each.
        weights: (m, n, T); 0 where a predictor does not apply.

    Returns:
        Their combination.

    Example:
        >>> one, two = (Reasons(x, 0 * x, {"words": x}, np.zeros((1, 1, 0))) for x in (np.array([[2.0]]), np.array([[4.0]])))
        >>> combine([one, two], np.array([[[0.5]], [[0.5]]])).parts["words"].tolist()
        [[3.0]]
    """

    def total(values: Sequence[np.ndarray | None]) -> np.ndarray:
        terms = [
            np.where(weight > 0, weight * np.nan_to_num(value), 0.0)
            for weight, value in zip(weights, values, strict=True)
            if value is not None
        ]
        return sum(terms)

    parts = dict.fromkeys(name for one in reasons for name in one.parts)
    columns = dict.fromkeys(name for one in reasons for name in one.columns)
    neighbours = [
        total([one.neighbours[..., rank] for one in reasons]) for rank in range(reasons[0].neighbours.shape[2])
    ]
    return Reasons(
        forecast=total([one.forecast for one in reasons]),
        base=total([one.base for one in reasons]),
        parts={name: total([one.parts.get(name) for one in reasons]) for name in parts},
        neighbours=np.stack(neighbours, -1) if neighbours else np.empty((*weights.shape[1:], 0)),
        columns={name: total([one.columns.get(name) for one in reasons]) for name in columns},
    )
