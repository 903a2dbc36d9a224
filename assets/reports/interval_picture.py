"""A picture of estimates with their intervals, one row per estimate, as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

LABELS, WIDTH, NARROW, ROW, MARGIN = 230, 520, 250, 24, 34  # pixels


@dataclass(frozen=True)
class Estimate:
    """A point with an interval.

    Attributes:
        label: Name of the row.
        value: The point.
        low: Lower end; NaN for a point without an interval.
        high: Upper end; NaN for a point without an interval.
        marked: Whether to emphasise it.
    """

    label: str
    value: float
    low: float
    high: float
    marked: bool = False


def interval_picture(estimates: Sequence[Estimate], *, axis: str, width: int = WIDTH) -> str:
    """Return an `<svg>` element that shows finite estimates as points with horizontal intervals.

    Args:
        estimates: The rows, from top to bottom.
        axis: Title of the axis.
        width: Width of the part with the axis, in pixels; `NARROW` stays legible on a phone.

    Example:
        >>> "nMSE" in interval_picture([Estimate("M3TR", 0.4, 0.3, 0.5)], axis="nMSE")
        True
    """
    shown = [estimate for estimate in estimates if math.isfinite(estimate.value)]
    ends = [end for one in shown for end in (one.value, one.low, one.high) if math.isfinite(end)] or [0.0, 1.0]
    low, high = min(ends), max(ends)
    step = _step(high - low or 1.0)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    high = high if high > low else low + step
    bottom = MARGIN + ROW * len(shown)

    def across(value: float) -> float:
        return LABELS + (value - low) / (high - low) * width

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LABELS + width + 40} {bottom + 48}" '
        f'width="{LABELS + width + 40}" font-family="system-ui, sans-serif" font-size="13" fill="currentColor" role="img">'
    ]
    for number in range(round((high - low) / step) + 1):
        x = across(low + number * step)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{MARGIN - 12}" y2="{bottom}" stroke="currentColor" opacity="0.15"/>'
            f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{low + number * step:.4g}</text>'
        )
    for number, one in enumerate(shown):
        y = MARGIN + ROW * number
        weight = ' font-weight="700"' if one.marked else ""
        parts.append(f'<text x="{LABELS - 14}" y="{y + 4}" text-anchor="end"{weight}>{html.escape(one.label)}</text>')
        if math.isfinite(one.low) and math.isfinite(one.high):
            parts.append(
                f'<line x1="{across(one.low):.1f}" x2="{across(one.high):.1f}" y1="{y}" y2="{y}" stroke="currentColor" '
                'stroke-width="2" opacity="0.55"/>'
            )
        parts.append(f'<circle cx="{across(one.value):.1f}" cy="{y}" r="{5 if one.marked else 4}"/>')
    parts.append(
        f'<text x="{LABELS + width / 2}" y="{bottom + 40}" text-anchor="middle">{html.escape(axis)}</text></svg>'
    )
    return "".join(parts)


def _step(span: float) -> float:
    """Return a round step that divides a span into four to ten parts."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(power * factor for factor in (5, 2, 1) if power * factor <= span / 4)
