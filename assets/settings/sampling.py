"""The section `[sampling]` of the settings."""

from __future__ import annotations

from typing import Literal, Self

import dagster as dg
from pydantic import Field, model_validator


class Sampling(dg.Config):
    """How frames and sound are taken from a file (M3TR appendix E)."""

    frames: int = Field(10, ge=1, le=128, description="K: frames and audio segments per video.")
    method: Literal["even", "stride"] = Field(
        "even",
        description="`even`: K frames evenly spaced (M3TR). `stride`: every `stride`-th frame, at most K (MMRA).",
    )
    stride: int | None = Field(
        None, ge=1, description="Distance in frames between two sampled frames; only with method = stride."
    )
    max_side: int = Field(
        512, ge=16, description="Longest side of a kept frame in pixels. Smaller frames keep their size."
    )
    jpeg_quality: int = Field(92, ge=50, le=100, description="JPEG quality of the kept frames.")
    segment_seconds: float = Field(1.0, gt=0, le=30, description="Length of an audio segment in seconds.")
    audio_rate: int | None = Field(
        None,
        ge=8000,
        le=96000,
        description="Sampling rate of the kept sound in Hz. Unset: 48000 with a pretrained sound encoder (CLAP), else 16000.",
    )
    timeout_seconds: float = Field(60.0, gt=0, description="A file that takes longer to decode becomes a failed row.")

    @model_validator(mode="after")
    def _stride_given(self) -> Self:
        if (self.method == "stride") != (self.stride is not None):
            raise ValueError("method = 'stride' and a stride in frames go together; leave stride unset with 'even'")
        return self
