"""The section `[retrieval]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Retrieval(dg.Config):
    """The memory bank and its neighbours (M3TR section 3.3)."""

    neighbours: int = Field(10, ge=1, le=200, description="S: retrieved videos (10 in M3TR, 20 in MUFM).")
    similarity: Literal["content", "temporal", "both"] = Field(
        "both",
        description="What neighbours are alike in: content, feedback, or both (M3TR eq. 3). model.use_temporal = false "
        "implies content; without feedback content decides in any case.",
    )
    temporal_key: Literal["cosine", "dot"] = Field(
        "cosine",
        description="Mean-pooled temporal rows at unit length, as content vectors are, or as M3TR prints them.",
    )
