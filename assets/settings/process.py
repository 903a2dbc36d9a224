"""The section `[process]` of the settings."""

from __future__ import annotations

from typing import Literal, Self

import dagster as dg
from pydantic import Field, model_validator

from assets.settings.folder import Folder


class Process(dg.Config):
    """The process that models feedback: Mamba-Hawkes, or a simpler one (M3TR section 3.2)."""

    intensity: Literal["m3tr", "mufm", "neural", "poisson", "padded"] = Field(
        "m3tr",
        description="The process: M3TR eq. 1, MUFM eq. 13, or another one of M3TR's table 2. `neural`: the neural Hawkes "
        "process. `poisson`: a constant rate per item. `padded`: no process; rows are the types, gaps and times of "
        "the observed events.",
    )
    hidden: int = Field(32, ge=1, description="Channels of an event's embedding.")
    state: int = Field(8, ge=1, description="State size per channel.")
    layers: int = Field(1, ge=1, description="Number of stacked selective scans.")
    input_rule: Literal["zoh", "impulse"] = Field(
        "impulse", description="How an event enters the state: zero-order hold, or an impulse."
    )
    decays: int = Field(
        1, ge=1, le=16, description="Exponentials per pair of event types in the classical part (m3tr only)."
    )
    shared_decays: bool | None = Field(
        None,
        description="Whether all pairs of event types have the same decay rates (m3tr only). Unset: from 17 types on. "
        "M3TR eq. 1 has rates of their own.",
    )
    softness: float | None = Field(
        1.0,
        gt=0,
        description="Softness of the link before the fit, relative to a type's mean intensity. Unset: the softplus of M3TR "
        "eq. 1 as printed, on a clock whose unit is the mean gap.",
    )
    learn_softness: bool = Field(True, description="Learn the softness of the link.")
    log_gaps: bool = Field(
        True,
        description="Embed the gap before an event. The papers embed only its type; the gap then acts through the "
        "state's decay.",
    )
    history: Literal["updated", "frozen"] = Field(
        "updated",
        description="Whether simulated events change the intensity of later ones. `frozen`: the papers' thinning of an "
        "inhomogeneous Poisson process, whose intensity depends on observed events only.",
    )
    penalty: Literal["none", "mcp", "scad"] = Field(
        "none", description="Sparsity penalty on the influence matrix (M3TR theorem 3.1)."
    )
    penalty_strength: float = Field(0.05, gt=0, description="Gamma of the penalty.")
    learning_rate: float = Field(5e-3, gt=0, description="AdamW's learning rate.")
    batch_size: int = Field(64, ge=1, description="Sequences per training step.")
    max_epochs: int = Field(20, ge=1, description="Highest number of passes over the training sequences.")
    patience: int = Field(
        5, ge=1, description="The fit stops after this many passes without a better validation likelihood."
    )
    length: int = Field(
        64, ge=2, description="L: rows of a temporal embedding. Shorter sequences are completed by thinning."
    )
    channels: Literal["state", "state+rate", "all", "handmade"] = Field(
        "all",
        description="Channels of a temporal row. `state`: the process's state and log intensities, as in the papers. "
        "`state+rate`: these, the observed count and its rate. `all`: these, age, window, and each event's time and rank. "
        "`handmade`: all channels but the process's.",
    )
    max_events: int = Field(
        512,
        ge=8,
        description="The process reads at most this many events of a window, the first ones. The window's count and age stay "
        "complete.",
    )
    younger: int = Field(
        4,
        ge=0,
        le=100,
        description="Windows per training item cut at a random younger age, for training. Each costs one simulation.",
    )
    from_store: Folder | None = Field(
        None,
        description="Folder of another store whose fitted process is used here; event types are matched by name. Only the "
        "scale of the rows is fitted here, and all settings of the fit but `length`, `channels` and `history` are ignored.",
    )
    seed: int = Field(0, ge=0, description="Seed of the fit and of the thinning.")
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Fit again once this share of the training and validation items is new, removed or changed. "
        "0: at any change.",
    )

    @model_validator(mode="after")
    def _penalisable(self) -> Self:
        if self.penalty != "none" and self.intensity != "m3tr":
            raise ValueError(
                f"penalty {self.penalty!r} needs intensity 'm3tr', whose influences it shrinks; given {self.intensity!r}"
            )
        return self
