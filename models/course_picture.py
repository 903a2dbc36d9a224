"""Picture of the course of several videos: what happened, and what two processes expected (M3TR appendix M.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = 0.1, 0.9  # levels of the shaded band
MARKS = {"like": "o", "comment": "x"}


@dataclass(frozen=True)
class Course:
    """One video.

    Attributes:
        title: Title of its part of the picture.
        hours: (events,) hours since publication of the counted events, all that are known.
        types: Name of a type -> hours of its events, as marks below the curves.
        seen: Hours that the forecasts saw.
        horizons: (H,) hours, ascending.
        forecast: (3, H) cumulative counts: the lower end of the band, the median, the upper end.
        baseline: (3, H), the same by the baseline.
    """

    title: str
    hours: np.ndarray
    types: Mapping[str, np.ndarray]
    seen: float
    horizons: np.ndarray
    forecast: np.ndarray
    baseline: np.ndarray


def draw_courses(courses: Sequence[Course], *, counted: str, forecast: str, baseline: str) -> Figure:
    """Draw one video per part of the picture: the count that was reached, and the forecasts' medians and bands.

    Args:
        courses: The videos.
        counted: What is counted, such as "comments".
        forecast: Name of the forecast.
        baseline: Name of the baseline.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    rows = -(-len(courses) // 2)
    figure = Figure(figsize=(10, 3.6 * rows), layout="constrained")
    parts = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, course in zip(parts, courses):
        _draw_course(axes, course, forecast, baseline)
        axes.set_ylabel(f"{counted} so far")
    for axes in parts[len(courses) :]:
        axes.set_axis_off()
    handles, labels = parts[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def _draw_course(axes: Axes, course: Course, forecast: str, baseline: str) -> None:
    end = float(course.horizons[-1])
    until = np.sort(course.hours[course.hours <= end])
    at = np.concatenate([[0.0], until, [end]])
    reached = np.concatenate([np.arange(len(until) + 1), [len(until)]])
    axes.step(at, reached, where="post", color="C2", linewidth=1.6, label="truth")
    lines = (baseline, course.baseline, "C1", ":"), (forecast, course.forecast, "C0", "--")
    for name, (low, median, high), colour, style in lines:
        axes.plot(course.horizons, median, style, color=colour, linewidth=1.6, label=f"{name}, median")
        axes.fill_between(course.horizons, low, high, color=colour, alpha=0.15, linewidth=0, label=f"{name}, 80 %")
    axes.axvline(course.seen, color="0.4", linewidth=0.8, label="end of the window")
    most = max(len(until), float(course.forecast[2].max()), 1.0)
    top = 1.1 * min(
        max(most, float(course.baseline[1].max())), 2 * most
    )  # a baseline that runs away would hide the rest
    for place, (name, hours) in enumerate(course.types.items()):
        shown = hours[hours <= end]
        height = np.full(len(shown), -0.05 * top * (place + 1))
        axes.plot(
            shown,
            height,
            MARKS.get(name, "|"),
            color=f"C{3 + place}",
            markersize=2.5,
            alpha=0.6,
            label=name,
            linestyle="",
        )
    axes.set(xlim=(0, end), ylim=(-0.05 * top * (len(course.types) + 1), top), title=course.title)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick <= top])  # the marks lie below 0
    axes.set_xlabel("hours since publication")
