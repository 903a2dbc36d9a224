"""The section `[imports]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Imports(dg.Config):
    """Features computed elsewhere that stand in for an embedding stage: a .npy, a .parquet or a folder (docs/imports.md)."""

    visual_embeddings: str | None = Field(None, description="Vectors of frames, or one of the whole video.")
    acoustic_embeddings: str | None = Field(None, description="Vectors of sound segments, or one of the whole video.")
    text_embeddings: str | None = Field(None, description="Vectors of the title's words, or one of the whole title.")
    retrieval_vectors: str | None = Field(None, description="One vector a video, for content similarity.")
    missing: Literal["error", "missing"] = Field(
        "error", description="Items that a file lacks: refuse the file, or go on without their features."
    )
