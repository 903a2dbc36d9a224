"""The section `[protocol]` of the settings."""

from __future__ import annotations

import math
from typing import Literal, Self

import dagster as dg
from pydantic import Field, field_validator, model_validator

from assets.settings.target import Target, parse_targets

DEFAULT_HORIZON_HOURS = 7 * 24.0


class Protocol(dg.Config):
    """What the model may see, what it forecasts, and how items are split (docs/protocol.md)."""

    hours: float = Field(
        24.0,
        ge=0,
        description="Observation window: the first hours after publication. 0 forecasts at publication: no feedback is seen.",
    )
    first_k: int | None = Field(
        None, ge=1, description="Observe the first k events instead of hours. Items with fewer events are not labelled."
    )
    ages: list[float] = Field(
        [1.0, 3.0, 8.0],
        description="Younger ages in hours at which the same items are also scored; 0 is the moment of publication. Ages "
        "beyond the window are ignored.",
    )
    targets: list[str] = Field(
        [],
        description="What is forecast, as `METRIC@HORIZON`, the primary target first: `comment@7d`, `view@36h`, `like@end`. A "
        "metric is a type of event, `all`, or a column of counters. Empty: one target from label_event and horizon_hours.",
    )
    label_event: str = Field(
        "auto",
        min_length=1,
        description="Type of event to count, or column of counters; `all` for events of every type; `auto` for comments if "
        "there are any, else all. Not with targets.",
    )
    horizon_hours: float | None = Field(
        None,
        gt=0,
        description="Label horizon in hours after t = 0. Unset: 168 (seven days) with a window in hours, the end of the data "
        "with first_k. Not with targets.",
    )
    target: Literal["log2p1", "log2", "raw"] = Field("log2p1", description="Scale that the model is trained on.")
    split: Literal["paper", "chronological"] = Field(
        "paper",
        description="`paper`: random 80/10/10 by seed. `chronological`: by time of publication; trained only on labels "
        "that were known when the first test item was published.",
    )
    split_file: str | None = Field(
        None,
        description="Published split that is used instead of a drawn one: a CSV file (item,split), or a folder with train.txt, "
        "val.txt and test.txt. Unset: `split.csv` in the data set's folder, if it has one and `split` is `paper`. `drawn`: "
        "draw one anyway.",
    )
    fractions: list[float] = Field([0.8, 0.1, 0.1], description="Shares of train, validation and test.")
    split_seed: int = Field(0, ge=0, description="Seed of the random split.")
    duplicate_bits: float = Field(
        10.0,
        ge=0,
        le=32,
        description="Videos are duplicates if their frames differ in at most this many of 64 hash bits.",
    )

    @field_validator("fractions")
    @classmethod
    def _shares(cls, fractions: list[float]) -> list[float]:
        if len(fractions) != 3 or min(fractions) <= 0 or not math.isclose(sum(fractions), 1.0, abs_tol=1e-6):
            raise ValueError(
                f"three positive shares that add up to 1 are allowed, for example [0.8, 0.1, 0.1]; got {fractions}"
            )
        return fractions

    @field_validator("ages")
    @classmethod
    def _ascending(cls, ages: list[float]) -> list[float]:
        if sorted(set(ages)) != ages or min(ages, default=0.0) < 0:
            raise ValueError(
                f"different ages from 0 in ascending order are allowed, for example [0, 1, 3, 8]; got {ages}"
            )
        return ages

    @field_validator("targets")
    @classmethod
    def _named(cls, targets: list[str]) -> list[str]:
        parse_targets(targets)
        return targets

    @model_validator(mode="after")
    def _window_before_label(self) -> Self:
        if self.targets and (self.label_event != "auto" or self.horizon_hours is not None):
            raise ValueError("targets replaces label_event and horizon_hours: set either targets or these two")
        listed = {f"the target {target.name}": target.hours for target in self.listed_targets}
        for name, hours in (listed or {"horizon_hours": self.horizon}).items():
            if self.first_k is None and hours is not None and hours <= self.hours:
                raise ValueError(
                    f"{name} ({hours:g} hours) must be longer than the observation window hours ({self.hours:g}): otherwise "
                    "the label is observed"
                )
        if self.split == "chronological" and self.horizon is None and not self.targets:
            raise ValueError(
                "split = 'chronological' needs horizon_hours: if labels are counted to the end of the data, no neighbour's "
                "label is known when a query is published"
            )
        if self.split == "chronological" and self.split_file:
            raise ValueError("split_file needs split = 'paper'; leave it unset with 'chronological'")
        return self

    @property
    def listed_targets(self) -> list[Target]:
        """The targets of `targets`, the primary first; empty if label_event and horizon_hours define the only one."""
        return parse_targets(self.targets)

    @property
    def horizon(self) -> float | None:
        """Horizon of the primary target in hours, or None for the end of the data."""
        if self.targets:
            return self.listed_targets[0].hours
        if self.horizon_hours is not None:
            return self.horizon_hours
        return DEFAULT_HORIZON_HOURS if self.first_k is None else None

    @property
    def forecasts_at_publication(self) -> bool:
        """Whether the observation window has no length, so that no feedback is seen."""
        return self.first_k is None and self.hours == 0
