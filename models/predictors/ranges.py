"""Ranges of hyper-parameters, and the check that a dataclass of them keeps to its ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Range(NamedTuple):
    """Allowed values.

    Attributes:
        told: The range in words that follow "must".
        holds: Returns whether a value is allowed; False for NaN.
    """

    told: str
    holds: Callable[[float], bool]


COUNT = Range("be at least 1", lambda value: value >= 1)
SEVERAL = Range("be at least 2", lambda value: value >= 2)
POSITIVE = Range("be above 0", lambda value: value > 0)
NOT_NEGATIVE = Range("be at least 0", lambda value: value >= 0)
SHARE = Range("lie in [0, 1]", lambda value: 0 <= value <= 1)
RATE = Range("lie in [0, 1)", lambda value: 0 <= value < 1)


def check_ranges(owner: object, **ranges: Range) -> None:
    """Check attributes of an object.

    Args:
        owner: The object.
        **ranges: Name of an attribute -> its range. An attribute that is None is not checked.

    Raises:
        ValueError: A value is outside its range; the message states the range.

    Example:
        >>> from types import SimpleNamespace
        >>> check_ranges(SimpleNamespace(width=0), width=COUNT)
        Traceback (most recent call last):
        ValueError: width must be at least 1, given 0
    """
    for name, allowed in ranges.items():
        value = getattr(owner, name)
        if value is not None and not allowed.holds(value):
            raise ValueError(f"{name} must {allowed.told}, given {value}")
