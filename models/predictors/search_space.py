"""Ranges of hyper-parameters that a search may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """An interval, both ends included.

    Attributes:
        low: Smallest value. Both ends are int for a whole number.
        high: Largest value.
        log: Whether the logarithm is searched evenly; then `low` is above 0.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """Values of which one is chosen."""

    values: tuple[int | float | str, ...]


SearchSpace = Mapping[str, Span | Choice]
# Those of the papers' searches (M3TR section 4.2.3, MUFM figure 4) that a network may have, and the temperature of the
# neighbours' weights, which at the printed value of 1 are nearly equal.
NETWORK_SPACE: dict[str, Span | Choice] = {
    "learning_rate": Span(1e-4, 1e-2, log=True),
    "batch_size": Choice((16, 32, 64, 128)),
    "weight_decay": Span(1e-5, 1e-1, log=True),
    "dropout": Span(0.0, 0.5),
    "alpha": Span(0.0, 1.0),
    "neighbours": Span(1, 10),
    "temperature": Span(0.02, 2.0, log=True),
}
