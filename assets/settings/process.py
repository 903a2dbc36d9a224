"""The section `[process]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field


class Process(dg.Config):
    """The Mamba-Hawkes process (M3TR section 3.2)."""

    intensity: Literal["m3tr", "mufm"] = Field("m3tr", description="M3TR eq. 1 or MUFM eq. 13.")
    hidden: int = Field(32, ge=1, description="Channels of an event's embedding.")
    state: int = Field(8, ge=1, description="States a channel.")
    layers: int = Field(1, ge=1, description="Stacked selective scans.")
    input_rule: Literal["zoh", "impulse"] = Field(
        "impulse", description="How an event enters the state (design section 5)."
    )
    decays: int = Field(1, ge=1, le=16, description="Exponentials a pair of types in the classical part (m3tr).")
    penalty: Literal["none", "mcp", "scad"] = Field(
        "none", description="Sparsity of the influence matrix (theorem 3.1)."
    )
    penalty_strength: float = Field(0.05, gt=0, description="Gamma of the penalty.")
    learning_rate: float = Field(5e-3, gt=0, description="Adam's step.")
    batch_size: int = Field(64, ge=1, description="Sequences a step.")
    max_epochs: int = Field(30, ge=1, description="At most so many passes; stops early on the validation split.")
    patience: int = Field(5, ge=1, description="Passes without a better validation likelihood before it stops.")
    length: int = Field(
        64, ge=2, description="L: rows of a temporal embedding; shorter sequences are continued by thinning."
    )
    max_events: int = Field(
        512,
        ge=8,
        description="Events of a window that the process reads: the first ones. The window's count and age stay whole.",
    )
    younger: int = Field(
        4,
        ge=0,
        le=100,
        description="Windows per training item that are cut at a random younger age, for training; each costs one simulation.",
    )
    seed: int = Field(0, ge=0, description="Seed of the fit and of the thinning.")
    refit_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Fit again once this share of the items it was fitted on is new, gone or changed; 0: at any change.",
    )
