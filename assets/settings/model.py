"""The section `[model]` of the settings."""

from __future__ import annotations

from typing import Any, Literal, Self

import dagster as dg
from pydantic import Field, ValidationInfo, field_validator, model_validator

from assets.settings.variant import parse_variants
from models.predictor_table import CLASSES, STACK, TRIVIAL, predictor_class


class Model(dg.Config):
    """The predictors and their training (M3TR section 3.4, appendices F and L)."""

    variants: dict[str, dict[str, Any]] = Field(
        {},
        description="Further rows, by name: a predictor with options of its own, beside the predictor itself. For example "
        '`[model.variants.m3tr_silent]` with `predictor = "m3tr"`, `title = "M3TR without sound"` and '
        "`options = {use_audio = false}`; `train` then lists `m3tr_silent`.",
    )
    train: list[str] = Field(
        ["m3tr", "boosting", "boosting_content", "stack"],
        description="Predictors and variants to train and compare. `stack` combines all others and the trivial rows, with "
        "weights fitted on validation items. A predictor that cannot be fitted to the data is left out, with its reason.",
    )
    serve: str = Field(
        "best",
        description="Row whose forecasts `predictions` holds: a name of `train`, a trivial row, or `best` for the best on "
        "validation items.",
    )
    preset: Literal["default", "paper", "tuned"] = Field(
        "default",
        description="Hyper-parameters of every predictor: ours, those that its paper prints, or the best that "
        "`reelcast search` found in this store.",
    )
    options: dict[str, dict[str, Any]] = Field(
        {},
        description="Hyper-parameters per predictor, which win over the preset and the shared ones below; for example "
        "`[model.options.m3tr]` with `alpha = 0.6`.",
    )
    dim: int = Field(64, ge=4, description="d: width of the aligned features.")
    alpha: float = Field(0.8, ge=0, le=1, description="Scale of positive attention; negative attention has 1 - alpha.")
    aggregate: Literal["attention", "rows", "concat"] = Field(
        "attention",
        description="Average the neighbours' vectors weighted by similarity, average their rows before the network in the "
        "same way (MMRA eq. 4), or concatenate the vectors (M3TR eq. 5).",
    )
    learning_rate: float = Field(
        1e-3, gt=0, description="AdamW's learning rate. The paper uses 1e-5 and 1e-4, for 20,000 videos."
    )
    batch_size: int = Field(64, ge=1, description="Videos per training step.")
    weight_decay: float = Field(1e-3, ge=0, description="Weight decay.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout.")
    gamma: float = Field(
        0.1, ge=0, description="Weight of the process's likelihood in the joint loss (M3TR section 3.4)."
    )
    max_epochs: int = Field(
        60,
        ge=1,
        description="Highest number of passes over the training videos; with more than 4,096 videos, of equal parts of a pass "
        "(docs/predictor.md).",
    )
    averaging: float = Field(
        0.95,
        ge=0,
        lt=1,
        description="Decay of the moving average of the weights, which is what is validated and kept. 0: no averaging.",
    )
    patience: int = Field(
        6,
        ge=1,
        description="Training stops after this many passes, or parts of a pass, without a better validation nMSE.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Precision of a network's matrix products while it is trained on a GPU. `auto`: bfloat16 if the GPU has "
        "it. On a CPU it has no effect.",
    )
    whole_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="How often training shows a video with its whole window. Otherwise it shows a window cut at a younger age.",
    )
    seeds: list[int] = Field(
        [0, 1, 2], description="One model is trained per seed; metrics are reported with intervals over the seeds."
    )
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Train again once this share of the training and validation items is new, removed or changed. "
        "0: at any change.",
    )
    use_retrieval: bool = Field(True, description="Ablation: without neighbours.")
    use_labels: bool = Field(True, description="Ablation: without the neighbours' labels.")
    use_temporal: bool = Field(True, description="Ablation: without the temporal branch.")
    use_visual: bool = Field(True, description="Ablation: without frames.")
    use_audio: bool = Field(True, description="Ablation: without sound.")
    use_text: bool = Field(True, description="Ablation: without the title.")
    use_metadata: bool = Field(
        False, description="Read metadata and counts as a fourth sequence, which the paper does not have."
    )
    use_positive: bool = Field(True, description="Ablation: without positive attention.")
    use_negative: bool = Field(True, description="Ablation: without negative attention.")

    @field_validator("variants")
    @classmethod
    def _described(cls, variants: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        parse_variants(variants)
        return variants

    @field_validator("train")
    @classmethod
    def _known(cls, train: list[str], info: ValidationInfo) -> list[str]:
        allowed = [*CLASSES, STACK, *info.data.get("variants", {})]
        if len(set(train)) != len(train) or not set(train) <= set(allowed):
            raise ValueError(f"different names among {', '.join(allowed)} are allowed; got {train}")
        return train

    @field_validator("options")
    @classmethod
    def _of_predictors(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in options.items():
            try:
                predictor_class(name).check_options(given)
            except ValueError as error:
                raise ValueError(f"options of {name}: {error}") from error
        return options

    @model_validator(mode="after")
    def _servable(self) -> Self:
        allowed = ["best", *(name for name in self.train if name not in self.variants), *TRIVIAL]
        if self.serve not in allowed:
            raise ValueError(f"serve must be one of {', '.join(allowed)}; got {self.serve!r}")
        return self

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError(f"one or more different seeds >= 0 are allowed; got {seeds}")
        return seeds
