"""The forecast of one video, as a person or a program reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class CurvePoint:
    """Forecast quantiles at one horizon.

    Attributes:
        hours: Hours since publication; None for the end of the data.
        quantiles: Level, such as "0.5" -> cumulative count.
    """

    hours: float | None
    quantiles: Mapping[str, float]


@dataclass(frozen=True)
class TargetForecast:
    """Forecast of one target.

    Attributes:
        target: What is counted and until when, such as `comment@7d`.
        count: Forecast count at the horizon, at least the count so far.
        lowest: Lowest forecast of a seed, as a count.
        highest: Highest forecast of a seed, as a count.
        value: The forecast on the target's scale.
        counted_so_far: What was counted up to the moment of the forecast; None if it is unknown.
        row: Row of the tables of results that made it.
        seeds: Number of models that were averaged.
        curve: Quantiles at the horizons at which there is a forecast, in order; empty without a curve model. Its median at the
            target's horizon is another forecast than `count` (docs/curves.md).
        why: One sentence of reasons (docs/reasons.md), or None.
    """

    target: str
    count: float
    lowest: float
    highest: float
    value: float
    counted_so_far: int | None
    row: str
    seeds: int
    curve: Sequence[CurvePoint] = ()
    why: str | None = None


@dataclass(frozen=True)
class SimilarVideo:
    """A neighbour.

    Attributes:
        item: Its id.
        title: Its title, or None.
        counts: Its label as a count, per target; None if it is unknown or was not known in time.
        score: Similarity (M3TR eq. 3).
        content: Similarity of the content, or None.
        feedback: Similarity of the feedback, or None.
    """

    item: str
    title: str | None
    counts: Mapping[str, float | None]
    score: float
    content: float | None
    feedback: float | None


@dataclass(frozen=True)
class VideoForecast:
    """Forecasts of one video.

    Attributes:
        item: Its id.
        at: Moment of the forecast, unix ms.
        published: t = 0, unix ms: the stated publication, or the first event.
        age_hours: Age of the video at the moment of the forecast.
        observed_events: Events in the observation window.
        window_complete: Whether the observation window had closed.
        retrieval: Similarity that found the neighbours: composite, content, temporal or none.
        bank_version: Version of the memory bank.
        forecasts: One per target.
        neighbours: Neighbours, the most similar first.
        notes: Remarks on what was assumed, is missing or is damaged.
        seconds: Duration of each step. The steps of videos that were computed together are those of all of them.
    """

    item: str
    at: int
    published: int | None
    age_hours: float | None
    observed_events: int
    window_complete: bool
    retrieval: str
    bank_version: int
    forecasts: Sequence[TargetForecast]
    neighbours: Sequence[SimilarVideo]
    notes: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as plain values, for JSON."""
        return asdict(self)
