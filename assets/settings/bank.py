"""The section `[bank]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Bank(dg.Config):
    """The memory bank: its index, the checks that a new version must pass, and how many versions are kept (docs/bank.md)."""

    index: str = Field(
        "auto",
        min_length=1,
        description="Index of the content vectors. `auto`: exact search up to 200,000 videos, above that inverted lists of "
        "codes. `flat`: always exact. Or a FAISS factory string such as `IVF1024,PQ64`.",
    )
    shards: int = Field(
        1,
        ge=1,
        description="Parts that the members are divided into. Each has an index of its own and is searched on its own. The "
        "results are merged exactly, at the price of twice the products. 1: not divided.",
    )
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto",
        description="What searches an undivided bank. `auto`: a GPU for more than 200,000 videos, if faiss-gpu is installed "
        "and the vectors fit. `gpu`: a GPU, or an error.",
    )
    recall: float = Field(
        0.95, ge=0, le=1, description="Lowest recall that an approximate index may have against exact search."
    )
    latency_ms: float = Field(500.0, gt=0, description="Highest search time of a single query in ms (95th percentile).")
    drift: float = Field(
        0.05,
        gt=0,
        le=1,
        description="Highest energy coefficient between the vectors of a new version and those of the version in service.",
    )
    failed_share: float = Field(
        0.25, ge=0, le=1, description="Highest share of training videos with a failed row in any stage."
    )
    sample: int = Field(256, ge=1, description="Members used as queries in the recall and latency checks.")
    keep: int = Field(3, ge=1, description="Versions kept: the newest ones, and the ones most recently in service.")
