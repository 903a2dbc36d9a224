"""The section `[curves]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field, field_validator

from assets.settings.target import hours_of


class CurveSettings(dg.Config):
    """Forecast curves: quantiles of each target's count on a grid of horizons (docs/curves.md)."""

    horizons: list[str] = Field(
        ["1h", "3h", "6h", "12h", "1d", "2d", "3d", "7d", "14d", "30d"],
        min_length=1,
        description="Horizons of the curves after t = 0, as in targets: 90m, 36h, 7d, 2w. The horizon of every target is "
        "added to them.",
    )
    continuations: int = Field(
        16,
        ge=0,
        le=10_000,
        description="Continuations of the fitted process that are simulated per window. More make its quantiles smoother and "
        "cost time in proportion. 0: curves come without the process.",
    )

    simulated_until: str = Field(
        "1d",
        description="Last horizon to which the process is continued. It is fitted to observation windows, and knows little of "
        "later times (docs/curves.md); a continuation costs time per event. With fewer than 50 training items, curves rest on "
        "the process alone, which is then continued up to the targets' horizons.",
    )
    classical: bool = Field(
        False,
        description="Whether the evaluation also fits a classical Hawkes process and simulates the test items forward, as "
        "another row beside the curve, to every horizon.",
    )

    explained: int = Field(
        500,
        ge=1,
        description="Highest number of items without a label whose forecasts are given reasons: those with the highest "
        "forecasts of the first target. Each costs about 0.1 s of CPU (docs/reasons.md).",
    )

    @field_validator("horizons")
    @classmethod
    def _ascending(cls, horizons: list[str]) -> list[str]:
        hours = [hours_of(horizon) for horizon in horizons]
        if sorted(set(hours)) != hours:
            raise ValueError(
                f"different horizons in ascending order are allowed, for example 1h, 1d, 7d; got {horizons}"
            )
        return horizons

    @field_validator("simulated_until")
    @classmethod
    def _is_horizon(cls, horizon: str) -> str:
        hours_of(horizon)
        return horizon

    @property
    def hours(self) -> list[float]:
        """The horizons in hours."""
        return [hours_of(horizon) for horizon in self.horizons]
