"""What a person says about one video, checked."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from storage.datasets import COUNTERS, EVENTS
from storage.datasets.clock import read_moment, tell_moment
from storage.datasets.dataset import DEFAULT_EVENT_TYPE
from storage.datasets.errors import DatasetError
from storage.datasets.one_item import ItemFeedback, in_order, read_item_feedback

UNNAMED = "new"


class WrongVideo(ValueError):
    """A video that cannot be forecast; the message is one line."""


@dataclass(frozen=True)
class Request:
    """One video to forecast. Everything may be absent, but not all of it.

    Attributes:
        video: The media file.
        title: Its title.
        author: Id of its author, as in the data set.
        category: Its category, as in the data set.
        published: When it was published: a date, a time, or unix time (seconds or milliseconds).
        feedback: File of its feedback (`storage.datasets.one_item`), or a frame of events with the columns `time` (unix ms)
            and optionally `type` and `user`.
        at: Moment of the forecast, as `published`. Default: the last event; without feedback, the publication.
        item: Id. Default: the media file's name without its suffix.
    """

    video: str | Path | None = None
    title: str | None = None
    author: str | None = None
    category: str | None = None
    published: str | int | None = None
    feedback: str | Path | pl.DataFrame | None = None
    at: str | int | None = None
    item: str | None = None

    @property
    def name(self) -> str:
        """The id."""
        if self.item is not None:
            return self.item
        return UNNAMED if self.video is None else Path(self.video).stem

    def check(self) -> None:
        """Check what can be checked without the store and without decoding.

        Raises:
            WrongVideo: Nothing is known of the video, its file does not exist, or a time is not a time.
        """
        if self.video is None and self.feedback is None and not (self.title or "").strip():
            raise WrongVideo("nothing is known of the video: give a media file, a title or its feedback")
        if self.video is not None and not os.path.isfile(self.video):  # noqa: PTH113 - pathlib raises at a long name
            problem = "is not a file" if os.path.exists(self.video) else "does not exist"  # noqa: PTH110
            raise WrongVideo(f"{self.video}: {problem}; give one media file")
        published, at = self.published_at, self.moment
        if self.feedback is None and at is not None and at != published:
            raise WrongVideo(
                "a moment of the forecast (at) needs the feedback up to then; without feedback, the forecast is made at "
                "publication"
            )
        if published is not None and at is not None and at < published:
            raise WrongVideo(
                f"the moment of the forecast {tell_moment(at)} is before the publication {tell_moment(published)}"
            )

    @property
    def published_at(self) -> int | None:
        """Publication, unix ms, or None."""
        return _moment("published", self.published)

    @property
    def moment(self) -> int | None:
        """Stated moment of the forecast, unix ms, or None."""
        return _moment("at", self.at)

    def read_feedback(self, types: list[str], metrics: list[str]) -> ItemFeedback:
        """Read the feedback up to the moment of the forecast.

        Args:
            types: Types of events of the data set.
            metrics: Metrics of the data set's counters.

        Raises:
            WrongVideo: The feedback cannot be used; the message names file and row.
        """
        published, at = self.published_at, self.moment
        if self.feedback is None:
            end = next(moment for moment in (published, at, int(time.time() * 1000)) if moment is not None)
            return ItemFeedback(in_order(EVENTS.to_frame()), COUNTERS.to_frame(), end, [])
        try:
            if isinstance(self.feedback, pl.DataFrame):
                return _given_events(self.feedback, self.name, published, at, types)
            return read_item_feedback(
                Path(self.feedback), self.name, published_at=published, at=at, types=types, metrics=metrics
            )
        except DatasetError as error:
            raise WrongVideo("; ".join(error.problems)) from error


def _moment(name: str, given: str | int | None) -> int | None:
    if given is None:
        return None
    try:
        return read_moment(str(given))
    except ValueError as error:
        raise WrongVideo(f"{name}: {error}") from error


def _given_events(
    frame: pl.DataFrame, item: str, published: int | None, at: int | None, types: list[str]
) -> ItemFeedback:
    """Return a frame of events as feedback, with the checks of a file."""
    if "time" not in frame.columns or not frame["time"].dtype.is_integer():
        raise WrongVideo("feedback: a frame needs an integer column time (unix ms), and may have type and user")
    columns = {"item": pl.lit(item), "user": pl.lit(None), "type": pl.lit(DEFAULT_EVENT_TYPE)}
    events = frame.select(
        *(name if name in frame.columns and name != "item" else columns[name].alias(name) for name in columns), "time"
    ).cast(EVENTS)
    unknown = events.filter(~pl.col("type").is_in(types))["type"]
    if len(unknown):
        raise WrongVideo(
            f"feedback: type {unknown[0]!r} does not occur in the data set; allowed are {', '.join(types)}"
        )
    first, end = events["time"].min(), events["time"].max() if at is None else at
    if end is None:
        raise WrongVideo("feedback: there are no events; state the moment of the forecast (at)")
    if first is not None and published is not None and first < published:
        raise WrongVideo(f"feedback: {tell_moment(first)} is before the publication, {tell_moment(published)}")
    if first is not None and end < first:
        raise WrongVideo(
            f"the moment of the forecast {tell_moment(end)} is before the first event, {tell_moment(first)}"
        )
    seen = events.filter(pl.col("time") <= end).sort("time", maintain_order=True)
    return ItemFeedback(in_order(seen), COUNTERS.to_frame(), end, [])
