"""The section `[audit]` of the settings."""

from __future__ import annotations

from typing import Literal

import dagster as dg
from pydantic import Field

STUDY = "leak_audit"  # folder of the audit's stores, the only ones in which a fault may be planted


class Audit(dg.Config):
    """A fault that `reelcast leak-audit` plants on purpose in a store of its own (docs/leaderboard.md)."""

    fault: Literal[
        "none",
        "torn_duplicates",
        "labels_of_the_future",
        "validation_in_bank",
        "scales_of_all_items",
        "later_author_statistics",
    ] = Field("none", description="The planted fault. Refused unless the store belongs to the audit.")
