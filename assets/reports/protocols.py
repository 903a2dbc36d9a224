"""The protocols under which models are compared, as settings."""

from __future__ import annotations

from typing import Any

RANDOM, CHRONOLOGICAL = "random", "chronological"
PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
    RANDOM: {"protocol": {"split": "paper"}},
    CHRONOLOGICAL: {"protocol": {"split": "chronological", "split_file": None}},
}
