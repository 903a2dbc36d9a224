"""The section `[monitoring]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field


class Monitoring(dg.Config):
    """How forecasts and data are watched over the nights (docs/monitoring.md)."""

    newest: int = Field(
        200,
        ge=20,
        description="Newest items, and newest scored forecasts, that are compared with the earlier ones. Fewer show a change "
        "sooner, more show a smaller one.",
    )
    false_alarms: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Nights per year on which the check for drift may warn although nothing has changed.",
    )
    decided_ratio: float = Field(
        4.0,
        gt=1,
        description="A forecast is decided once the upper end of its 80 % interval is less than this many times the lower end, "
        "both plus one.",
    )
