"""The section `[retrieval]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Retrieval(dg.Config):
    """The memory bank and its neighbours (M3TR section 3.3)."""

    neighbours: int = Field(10, ge=1, le=200, description="S: retrieved videos per query (10 in M3TR, 20 in MUFM).")
    similarity: Literal["content", "temporal", "both"] = Field(
        "both",
        description="Similarity of neighbours: content, feedback (temporal), or both (M3TR eq. 3). model.use_temporal = "
        "false implies content. A video without feedback is always compared by content.",
    )
    temporal_key: Literal["cosine", "dot"] = Field(
        "cosine",
        description="Scale of the mean-pooled temporal rows. `cosine`: unit length, like content vectors. `dot`: as in M3TR.",
    )
