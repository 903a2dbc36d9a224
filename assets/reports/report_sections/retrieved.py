"""Gallery of retrieval: test videos with the videos that content alone finds, and those that feedback finds too."""

from __future__ import annotations

import numpy as np

from assets.memory.retrieval_figure import RetrievalExamples, retrieval_examples
from assets.reports.document import Heading, Paragraph
from assets.reports.page import Card, Gallery, PageBlock, thumbnail
from assets.settings import Settings
from models.retrieval_picture import ShownVideo, course
from storage.store import Store

GAINS = (0.9, 0.5, 0.1)  # quantiles of what feedback gains: helped, typical, hurt
NAMES = ("Feedback helps", "A typical video", "Feedback misleads")
WIDTH, HEIGHT = 100, 34  # of a small curve


def retrieved(store: Store, settings: Settings) -> list[PageBlock]:
    """Return three test videos, at the 90th, 50th and 10th percentile of what feedback gains, with their neighbours."""
    found = retrieval_examples(store, settings, gains=GAINS)
    blocks: list[PageBlock] = [
        Paragraph(f"{found.means[:1].upper()}{found.means[1:]}."),
        Paragraph(
            f"Each card has a frame, the share of the window's events that had happened by each time (grey area: the "
            f"card's video, orange line: the query), the count of {found.label}, and both similarities to the query, which "
            "comes first."
        ),
    ]
    for name, gain, example in zip(NAMES, GAINS, found.examples, strict=False):
        query = _card(example.query, None, found)
        blocks += [
            Heading(f"{name}: {100 * gain:.0f}th percentile of the gain", 3),
            Paragraph(
                f"The mean label of the neighbours is off by {_number(example.errors[0])} with content alone, and by "
                f"{_number(example.errors[1])} with feedback."
            ),
            *(
                Gallery([query, *(_card(video, example.query, found) for video in videos)], f"Retrieved by {way}")
                for way, videos in example.rows.items()
            ),
        ]
    return blocks


def _card(video: ShownVideo, query: ShownVideo | None, found: RetrievalExamples) -> Card:
    count = "unknown" if video.count is None else f"{video.count:,.0f}"
    lines = [f"{count} {found.label}"]
    if query is None:
        lines.append("the query")
    else:
        lines += [f"content {_number(video.content)}", f"feedback {_number(video.temporal)}"]
    image = None if video.frame is None else thumbnail(video.frame)
    return Card(video.title, lines, image, _curve(video, query, found.window), marked=query is None)


def _curve(video: ShownVideo, query: ShownVideo | None, window: float) -> str:
    """Return the share of events that had happened, over the window, as a small picture."""
    own = _steps(video, window)
    line = _steps(query or video, window)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{len(video.hours)} events in {window:g} hours">'
        f'<path d="M0 {HEIGHT}{own}V{HEIGHT}Z" fill="var(--soft)" opacity="0.35"/>'
        f'<path d="M0 {HEIGHT}{line}" fill="none" stroke="var(--orange)" stroke-width="1.5"/></svg>'
    )


def _steps(video: ShownVideo, window: float) -> str:
    """Return the curve as commands of an SVG path."""
    hours, share = course(video, window)
    x, y = np.round(hours / window * WIDTH, 1), np.round(HEIGHT * (1 - share), 1)
    keep = np.append(np.flatnonzero(np.diff(x)), len(x) - 1)  # the last step of several at one place
    return "".join(f"H{x[place]:g}V{y[place]:g}" for place in keep)


def _number(value: float | None) -> str:
    return "n/a" if value is None or not np.isfinite(value) else f"{value:.2f}"
