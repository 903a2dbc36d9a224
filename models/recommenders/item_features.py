"""Content of items as recommenders take it: one vector per item and modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class ItemFeatures:
    """Content of N items, in the order of `UserHistories.items`; the arrays may be memory-mapped.

    Attributes:
        vectors: Name of a modality -> (N, width); a row of zeros where the item lacks it. Empty: items have ids alone.
        known: Name of a modality -> (N,) bool, whether the item has it. A modality without an entry is known of all items.
        category: (N,) integers, the category of each item, 0 for an unknown one; None if the set has no categories.

    Raises:
        ValueError: The arrays have different numbers of items, or `known` names an unknown modality.

    Example:
        >>> features = ItemFeatures({"visual": np.ones((3, 8), np.float32)})
        >>> features.widths
        {'visual': 8}
    """

    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)
    known: Mapping[str, np.ndarray] = field(default_factory=dict)
    category: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if further := set(self.known) - set(self.vectors):
            raise ValueError(
                f"known names {min(further)!r}, but the modalities are {', '.join(self.vectors) or 'none'}"
            )
        sizes = {name: len(values) for name, values in self.vectors.items()}
        sizes |= {f"known {name}": len(values) for name, values in self.known.items()}
        if self.category is not None:
            sizes["category"] = len(self.category)
        if len(set(sizes.values())) > 1:
            raise ValueError(f"all arrays must have one row per item, given {sizes}")

    @property
    def widths(self) -> dict[str, int]:
        """Width of the vectors, per modality."""
        return {name: values.shape[1] for name, values in self.vectors.items()}
