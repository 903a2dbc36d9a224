"""The section `[audience]` of the settings."""

from __future__ import annotations

from typing import Any, Self

import dagster as dg
from pydantic import Field, field_validator, model_validator

from assets.settings.folder import Folder
from models.recommender_table import RECOMMENDERS, recommender_class


class Audience(dg.Config):
    """Recommenders: which users click which video (docs/recommenders.md)."""

    train: list[str] = Field(
        [],
        description="Recommenders to train. Empty: none, and the stages of the group `audience` do nothing. With `sasrec` the "
        "table of windows has the column `recommendation_score`.",
    )
    exposures: Folder | None = Field(
        None,
        description="Log of exposures, a table or a folder (docs/recommenders.md). Unset: the users' events of the data set.",
    )
    clicks: list[str] = Field(
        [],
        description="Types of the data set's events that are clicks. Empty: every type that is not in `skips`.",
    )
    skips: list[str] = Field(
        [], description="Types of the data set's events that are exposures without a click, such as low ratings."
    )
    click_from: float | None = Field(
        None,
        description="Smallest value of the log's outcome that is a click. Unset: 1 for a flag, 4 for a rating, 0.5 for the "
        "share watched.",
    )
    options: dict[str, dict[str, Any]] = Field(
        {},
        description="Hyper-parameters per recommender; for example `[audience.options.sasrec]` with `length = 20`.",
    )
    folds: int = Field(
        4,
        ge=1,
        description="Models whose scores are the column. A training video's score comes from the one model that was fitted "
        "without its clicks, any other video's is the mean of all. 1: one model, fitted to all training videos, as in MUFM.",
    )
    seed: int = Field(0, ge=0, description="Seed of the recommender whose score is a column.")
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The recommender stays in service while less than this share of the training videos it was fitted on has "
        "changed. 0: fitted again at any change.",
    )

    @field_validator("train")
    @classmethod
    def _known(cls, train: list[str]) -> list[str]:
        if len(set(train)) != len(train) or not set(train) <= set(RECOMMENDERS):
            raise ValueError(f"different names among {', '.join(RECOMMENDERS)} are allowed; got {train}")
        return train

    @field_validator("options")
    @classmethod
    def _of_recommenders(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in options.items():
            try:
                recommender_class(name).check_options(given)
            except ValueError as error:
                raise ValueError(f"options of {name}: {error}") from error
        return options

    @model_validator(mode="after")
    def _types(self) -> Self:
        if both := sorted(set(self.clicks) & set(self.skips)):
            raise ValueError(f"a type is a click or a skip; {both[0]!r} is in both lists")
        return self
