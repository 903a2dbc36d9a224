"""The look of all charts of a report: Matplotlib figures as inline SVG that follows the page's colours and fonts."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assets.reports.document import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 5.0, 3.3  # inches of a chart; a line of text stays legible when a phone shows it on 360 pixels
INK, SOFT, LINE = "#1c2128", "#59636e", "#d5dae0"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"

# Colour in a figure -> variable of the page's style. Figures that were drawn for other places use Matplotlib's names.
VARIABLES = {
    INK: "ink",
    SOFT: "soft",
    LINE: "line",
    BLUE: "blue",
    ORANGE: "orange",
    GREEN: "green",
    RED: "red",
    PURPLE: "purple",
    SKY: "sky",
    "#000000": "ink",
    "#1f77b4": "blue",
    "#808080": "soft",
    "#999999": "soft",
    "#666666": "soft",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the report's style: the palette of Okabe and Ito, a light grid, no frame."""
    import matplotlib
    from cycler import cycler

    style = {
        "figure.figsize": (WIDTH, HEIGHT),
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, PURPLE, SKY]),
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": LINE,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "reelcast",
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), SOFT),
    }
    with matplotlib.rc_context(style):
        yield


def chart(*, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """Return an empty chart, one column wide.

    Args:
        height: Height in inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def as_picture(figure: Figure, title: str, *, height: float | None = None) -> Picture:
    """Return a figure as an inline picture.

    Args:
        figure: A figure that was drawn inside `house_style`.
        title: Its caption, which screen readers read too.
        height: Height in inches of a figure that was drawn in another size; it is made one column wide.
    """
    if height is not None:
        figure.set_size_inches(WIDTH, height)
    return Picture(inline_svg(figure, title), "", title)


def inline_svg(figure: Figure, title: str) -> str:
    """Return a figure as an `<svg>` element whose colours and fonts are the page's.

    Args:
        figure: The figure.
        title: What it shows.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Matplotlib measures texts with its own font; the reader's browser has the letters that this font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' id="(?:matplotlib\.)?[A-Za-z]+\d*_\d+"', "", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r"<[^>]*>", _themed_tag, text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{html.escape(title)}" ', 1)


def _themed_tag(tag: re.Match[str]) -> str:
    """Return a tag with the page's colours and two decimals, which halve the size; the text between tags stays."""
    return re.sub(r"#[0-9a-f]{6}\b", _themed, re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]))


def _themed(colour: re.Match[str]) -> str:
    name = VARIABLES.get(colour[0])
    return colour[0] if name is None else f"var(--{name})"
