"""The section `[bank]` of the settings."""

from __future__ import annotations

import dagster as dg
from pydantic import Field


class Bank(dg.Config):
    """Versions of the memory bank: its index, the checks that a new one must pass, and how many are kept (docs/bank.md)."""

    index: str = Field(
        "auto",
        min_length=1,
        description="`auto`: exact up to 200,000 videos, then inverted lists of codes; `flat`: exact; or a FAISS factory "
        "string for the content vectors, such as `IVF1024,PQ64`.",
    )
    recall: float = Field(0.95, ge=0, le=1, description="Least recall of an approximate index against exact search.")
    latency_ms: float = Field(500.0, gt=0, description="Greatest search time of a single query (95th percentile).")
    drift: float = Field(
        0.05, gt=0, le=1, description="Greatest energy coefficient between the vectors of a version and the one before."
    )
    failed_share: float = Field(
        0.25, ge=0, le=1, description="Greatest share of training videos that a stage failed on."
    )
    sample: int = Field(256, ge=1, description="Members asked as queries by the checks of recall and latency.")
    keep: int = Field(3, ge=1, description="Versions kept: the newest, and those that were in service last.")
