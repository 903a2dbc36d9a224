"""A target as the settings name it: a metric at a horizon, such as `view@30d`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}  # hours per unit
END = "end"
FORM = "METRIC@HORIZON with a horizon such as 90m, 36h, 7d, 2w or end, for example comment@7d"


@dataclass(frozen=True)
class Target:
    """What is forecast: the count of a metric at an age of the item.

    Attributes:
        metric: A type of event, `all` for events of every type, or a column of counters.
        hours: Horizon in hours after t = 0; None for the end of the data.
    """

    metric: str
    hours: float | None

    @property
    def name(self) -> str:
        """The target's name, with the horizon in days, hours or minutes, whichever is whole.

        Example:
            >>> Target("view", 168.0).name, Target("like", 1.5).name, Target("all", None).name
            ('view@7d', 'like@90m', 'all@end')
        """
        return f"{self.metric}@{END if self.hours is None else horizon_name(self.hours)}"


def horizon_name(hours: float) -> str:
    """Return a horizon in days, hours or minutes, whichever is whole; `end` if it is infinite.

    Example:
        >>> horizon_name(36.0), horizon_name(168.0), horizon_name(float("inf"))
        ('36h', '7d', 'end')
    """
    if math.isinf(hours):
        return END
    minutes = round(hours * 60)
    if not minutes or abs(hours * 60 - minutes) > 1e-6:
        return f"{hours:g}h"
    if minutes % 1440 == 0:
        return f"{minutes // 1440}d"
    return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"


def parse_target(text: str) -> Target:
    """Return the target that a text names.

    Args:
        text: `METRIC@HORIZON`; the horizon is a number with the unit m, h, d or w, or `end`.

    Raises:
        ValueError: The text has another form.

    Example:
        >>> parse_target("comment@7d")
        Target(metric='comment', hours=168.0)
    """
    metric, at, horizon = text.strip().rpartition("@")
    if not at or not metric:
        raise ValueError(f"{text!r} is not {FORM}")
    if horizon == END:
        return Target(metric, None)
    return Target(metric, _hours(horizon, of=text, form=FORM))


def hours_of(text: str) -> float:
    """Return the hours of a horizon such as 90m, 36h, 7d or 2w.

    Raises:
        ValueError: The text has another form, or is no time after 0.

    Example:
        >>> hours_of("7d")
        168.0
    """
    return _hours(text, of=text, form="a number above 0 with a unit, for example 90m, 36h, 7d or 2w")


def _hours(horizon: str, *, of: str, form: str) -> float:
    duration = re.fullmatch(r"(\d+(?:\.\d+)?)([a-z]*)", horizon)
    if duration is None or float(duration[1]) == 0:
        raise ValueError(f"{of!r} has the horizon {horizon!r}; allowed is {form}")
    if duration[2] not in HOURS:
        raise ValueError(f"{of!r} has the unit {duration[2]!r}; allowed are {', '.join(HOURS)} (minutes to weeks)")
    return float(duration[1]) * HOURS[duration[2]]


def parse_targets(texts: Sequence[str]) -> list[Target]:
    """Return the targets that a list names, in its order.

    Raises:
        ValueError: An entry has another form or names a target again; the message lists every such entry.
    """
    found: dict[str, Target] = {}
    problems = []
    for text in texts:
        try:
            target = parse_target(text)
        except ValueError as error:
            problems.append(str(error))
            continue
        if target.name in found:
            problems.append(f"{text!r} names the target {target.name} again")
        found[target.name] = target
    if problems:
        raise ValueError("; ".join(problems))
    return list(found.values())
