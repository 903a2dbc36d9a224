"""The section `[sampling]` of the settings."""

from __future__ import annotations

from typing import Literal, Self

import dagster as dg
from pydantic import Field, model_validator


class Sampling(dg.Config):
    """How frames and sound are taken from a file (M3TR appendix E)."""

    frames: int = Field(10, ge=1, le=128, description="K: frames and audio segments a video.")
    method: Literal["even", "stride"] = Field(
        "even", description="`even` (M3TR), or every `stride`-th frame (MMRA), at most K."
    )
    stride: int | None = Field(
        None, ge=1, description="Frames from one sampled frame to the next with method = stride."
    )
    max_side: int = Field(
        512, ge=16, description="Longer side of a kept frame, in pixels; smaller videos stay as they are."
    )
    jpeg_quality: int = Field(92, ge=50, le=100, description="Quality of the kept frames.")
    segment_seconds: float = Field(1.0, gt=0, le=30, description="Length of an audio segment.")
    audio_rate: int | None = Field(
        None, ge=8000, le=96000, description="Sampling rate kept, Hz. Unset: 16000 handcrafted, 48000 otherwise (CLAP)."
    )
    timeout_seconds: float = Field(60.0, gt=0, description="A file that takes longer to decode is a failed row.")

    @model_validator(mode="after")
    def _stride_given(self) -> Self:
        if (self.method == "stride") != (self.stride is not None):
            raise ValueError("method = 'stride' and a stride in frames go together; with 'even' leave stride unset")
        return self
