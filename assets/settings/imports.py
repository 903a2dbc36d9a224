"""The section `[imports]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Imports(dg.Config):
    """Features computed elsewhere that replace an embedding stage: files or folders (docs/imports.md)."""

    visual_embeddings: str | None = Field(None, description="Vectors of the frames, or one vector per video.")
    acoustic_embeddings: str | None = Field(None, description="Vectors of the audio segments, or one vector per video.")
    text_embeddings: str | None = Field(None, description="Vectors of the title's words, or one vector per title.")
    retrieval_vectors: str | None = Field(None, description="One vector per video, for content similarity.")
    missing: Literal["error", "missing"] = Field(
        "error",
        description="If a file lacks items: refuse the file (`error`), or continue without their features (`missing`).",
    )
