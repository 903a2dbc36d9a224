"""The section `[model]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field, field_validator


class Model(dg.Config):
    """The predictor and its training (M3TR section 3.4, appendices F and L)."""

    dim: int = Field(64, ge=4, description="d: width of the aligned features.")
    alpha: float = Field(0.8, ge=0, le=1, description="Balance of positive and negative attention.")
    aggregate: Literal["attention", "concat"] = Field(
        "attention", description="Neighbours weighted by similarity (MMRA eq. 4) or all concatenated (M3TR eq. 5)."
    )
    learning_rate: float = Field(1e-3, gt=0, description="1e-5 and 1e-4 in the paper, for 20,000 videos.")
    batch_size: int = Field(64, ge=1, description="Videos a step.")
    weight_decay: float = Field(1e-3, ge=0, description="Weight decay.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout.")
    gamma: float = Field(0.1, ge=0, description="Weight of the process's likelihood in the joint loss.")
    max_epochs: int = Field(60, ge=1, description="At most so many passes.")
    patience: int = Field(10, ge=1, description="Passes without a better validation nMSE before it stops.")
    whole_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="How often a training video is shown with its whole window; else with one cut at a younger age.",
    )
    seeds: list[int] = Field([0, 1, 2], description="One model a seed; metrics are reported with intervals over them.")
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Train again once this share of the items it was fitted on is new, gone or changed; 0: at any change.",
    )
    use_retrieval: bool = Field(True, description="Ablation: without neighbours.")
    use_labels: bool = Field(True, description="Ablation: without the neighbours' labels.")
    use_temporal: bool = Field(True, description="Ablation: without the temporal branch.")
    use_visual: bool = Field(True, description="Ablation: without frames.")
    use_audio: bool = Field(True, description="Ablation: without sound.")
    use_text: bool = Field(True, description="Ablation: without the title.")
    use_positive: bool = Field(True, description="Ablation: without positive attention.")
    use_negative: bool = Field(True, description="Ablation: without negative attention.")

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError(f"one or more different seeds from 0 are allowed; got {seeds}")
        return seeds
