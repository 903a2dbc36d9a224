"""Picture of a video beside its retrieved videos: by content alone, and by content and feedback (M3TR figure 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS = 22  # of a title


@dataclass(frozen=True)
class ShownVideo:
    """One video of the picture.

    Attributes:
        title: Its title, or its id.
        frame: (h, w, 3) uint8; None for a video without frames.
        hours: (events,) times of its events in the window.
        count: What the label counts; None if unknown.
        content: Similarity of its content to that of the query; None for the query, or without content.
        temporal: Similarity of its feedback to that of the query, likewise.
    """

    title: str
    frame: np.ndarray | None
    hours: np.ndarray
    count: float | None
    content: float | None = None
    temporal: float | None = None


def draw_retrieval(
    query: ShownVideo, rows: Mapping[str, Sequence[ShownVideo]], *, window: float, label: str, note: str = ""
) -> Figure:
    """Draw the query on the left, and one row of retrieved videos per way of retrieval.

    A video is a frame with its similarities above, and below it, as a filled curve, the share of its window's events that has
    happened by each time. The line is the query's curve. Shares compare shapes and not sizes.

    Args:
        query: The query.
        rows: Name of the way of retrieval -> the retrieved videos, most similar first.
        window: Length of the window in hours.
        label: What `count` is, such as "comments in 7 days".
        note: A line below the picture.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    most = max(len(videos) for videos in rows.values())
    figure = Figure(figsize=(1.9 * (most + 1) + 0.6, 3.9 * len(rows) + 0.5), layout="constrained")
    heights = [3, 1.3] * len(rows)
    grid = figure.add_gridspec(2 * len(rows), most + 1, height_ratios=heights)
    middle = 2 * ((len(rows) - 1) // 2)
    own = [figure.add_subplot(grid[middle + part, 0]) for part in (0, 1)]
    _draw_video(*own, query, None, window=window, label=label)
    own[0].set_title(f"query\n{_cut(query.title)}", fontsize=9, fontweight="bold")
    for place, (name, videos) in enumerate(rows.items()):
        for column, video in enumerate(videos, start=1):
            above, below = (figure.add_subplot(grid[2 * place + part, column]) for part in (0, 1))
            _draw_video(above, below, video, query, window=window, label=label)
            similar = f"content {_number(video.content)} · feedback {_number(video.temporal)}\n{_cut(video.title)}"
            above.set_title(similar, fontsize=8)
            if column == 1:
                above.annotate(name, (0, 1), (0, 34), "axes fraction", "offset points", fontsize=10, fontweight="bold")
    if note:
        figure.supxlabel(note, fontsize=9)
    return figure


def _draw_video(
    above: Axes, below: Axes, video: ShownVideo, query: ShownVideo | None, *, window: float, label: str
) -> None:
    above.set_axis_off()
    if video.frame is None:
        above.text(0.5, 0.5, "no frame", ha="center", va="center", transform=above.transAxes)
    else:
        above.imshow(video.frame)
    below.fill_between(*_course(video, window), step="post", color="C0" if query else "C1", alpha=0.4, linewidth=0)
    if query is not None:
        below.step(*_course(query, window), where="post", color="C1", linewidth=1.2)
    count = "unknown" if video.count is None else f"{video.count:.0f}"
    below.set_xlabel(f"{len(video.hours)} events in {window:g} h\n{label}: {count}", fontsize=8)
    below.set(yticks=[], xticks=[0, window], xlim=(0, window), ylim=(0, 1.05))
    below.tick_params(labelsize=7)


def _course(video: ShownVideo, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the window's events that have happened by each of their times."""
    hours = np.sort(video.hours)
    share = np.arange(len(hours) + 1) / max(len(hours), 1)
    return np.concatenate([[0.0], hours, [window]]), np.append(share, share[-1])


def _cut(title: str) -> str:
    return title if len(title) <= LETTERS else f"{title[: LETTERS - 1]}…"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
