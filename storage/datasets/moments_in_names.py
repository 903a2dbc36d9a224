"""Moments in the names of columns and files: a date, or an age such as `24h` and `day 7`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

HOUR_MS = 3_600_000
_DATE = re.compile(
    r"(?<!\d)(20\d\d)([-_./]?)(\d\d)\2(\d\d)(?:[ _T-]?([01]\d|2[0-3])[-_:.]?([0-5]\d)(?:[-_:.]?([0-5]\d))?Z?)?(?!\d)"
)
_UNITS = {
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 1),
    **dict.fromkeys(("d", "day", "days"), 24),
    **dict.fromkeys(("w", "week", "weeks"), 168),
}
_LINKS = {"after", "at", "in", "first", "within", "the"}


@dataclass(frozen=True)
class NamedMoment:
    """A moment that a name holds.

    Attributes:
        rest: The name without the moment.
        at: The moment, unix ms (UTC; a date is its start); None if the name holds an age.
        age: The age since publication, ms; None if the name holds a date.
    """

    rest: str
    at: int | None = None
    age: int | None = None


def date_in(name: str) -> NamedMoment | None:
    """Return the date that a name holds; None if it has no date or several.

    Example:
        >>> date_in("videos_2024-01-03").at, date_in("20240103T1200").rest, date_in("views_7d")
        (1704240000000, '', None)
    """
    found = list(_DATE.finditer(name))
    if len(found) != 1:
        return None
    year, _, month, day, *clock = found[0].groups()
    try:
        moment = datetime(*map(int, (year, month, day, *(part or 0 for part in clock))), tzinfo=UTC)
    except ValueError:
        return None
    rest = name[: found[0].start()] + name[found[0].end() :]
    return NamedMoment(rest.strip(" _-.@/()[]"), at=round(moment.timestamp() * 1000))


def age_in(name: str) -> NamedMoment | None:
    """Return the age that a name starts or ends with, in hours, days or weeks.

    Example:
        >>> [(age_in(name).rest, age_in(name).age // HOUR_MS) for name in ("views_7d", "likes after 24 hours", "day2_play")]
        [('views', 168), ('likes', 24), ('play', 48)]
        >>> age_in("views")
    """
    tokens = [token for token in re.findall(r"[^\W\d_]+|\d+", name.lower()) if token not in _LINKS]
    for pair, rest in ((tokens[-2:], tokens[:-2]), (tokens[:2], tokens[2:])):
        numbers = [int(token) for token in pair if token.isdecimal()]
        units = [_UNITS[token] for token in pair if token in _UNITS]
        if rest and len(numbers) == len(units) == 1:
            return NamedMoment("_".join(rest), age=numbers[0] * units[0] * HOUR_MS)
    return None
