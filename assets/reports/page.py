"""One self-contained HTML page of a report's blocks; the template is `page.html.jinja`."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from assets.reports.document import Block, Heading, Picture

THUMBNAIL = 144  # pixels of its longer side
LETTERS = 90  # of a title; a longer one is cut


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side, as many per line as fit.

    Attributes:
        pictures: The pictures; those without a title have no caption.
    """

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Card:
    """A video of a gallery.

    Attributes:
        title: Its title; the page cuts long ones.
        lines: Facts below it.
        image: A data URI; None shows that there is no frame.
        svg: A small picture below the frame; empty for none.
        marked: Whether to emphasise it.
    """

    title: str
    lines: Sequence[str]
    image: str | None
    svg: str = ""
    marked: bool = False


@dataclass(frozen=True)
class Gallery:
    """Videos side by side.

    Attributes:
        cards: The videos.
        title: A line above them.
    """

    cards: Sequence[Card]
    title: str = ""


@dataclass(frozen=True)
class Folded:
    """Blocks that a click unfolds; in print they are always shown.

    Attributes:
        title: The line that is clicked.
        blocks: The blocks.
    """

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Missing:
    """A line in place of a section's contents.

    Attributes:
        text: Why there is nothing to show, and what would change that.
    """

    text: str


PageBlock = Block | Pictures | Gallery | Folded | Missing


def as_html(blocks: Sequence[PageBlock], *, title: str, contents: bool = False) -> str:
    """Return a report as one HTML page without outside references, which follows the reader's light or dark theme.

    All texts are escaped, so a title of a video can hold any character.

    Args:
        blocks: The report.
        title: Title of the page.
        contents: Whether to list the headings of level 2, with links, below the first heading.

    Example:
        >>> page = as_html([Heading("</script>", 1)], title="A report")
        >>> "<h1>&lt;/script&gt;</h1>" in page
        True
    """
    anchors = {id(block): f"part-{number}" for number, block in enumerate(blocks) if _is_part(block)}
    parts = [(anchors[id(block)], block.text) for block in blocks if _is_part(block)] if contents else []
    return _template().render(blocks=blocks, title=title, parts=parts, anchors=anchors, letters=LETTERS)


def _is_part(block: PageBlock) -> bool:
    return isinstance(block, Heading) and block.level == 2


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("assets.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["block"] = lambda block, name: type(block).__name__ == name
    environment.globals["anchor_of"] = lambda anchors, block: anchors.get(id(block))
    return environment.get_template("page.html.jinja")


def thumbnail(frame: np.ndarray) -> str:
    """Return a frame as the data URI of a small JPEG.

    Args:
        frame: (h, w, 3) uint8.
    """
    from PIL import Image

    image, buffer = Image.fromarray(frame), io.BytesIO()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    image.save(buffer, "JPEG", quality=70, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
